"""Hosts as SageMaker makes them: ``/opt/ml``, the variables every container gets, the algorithm's own command."""

from __future__ import annotations

from pathlib import Path

from cloud.practice.aws.service import Service
from cloud.practice.hosts import Host, HostGroup
from cloud.practice.hosts.group import Limits
from cloud.practice.images import Image
from cloud.practice.settings import AWS_KEY

GRACE = 120.0  # seconds between SIGTERM and SIGKILL: botocore's documentation of StopTrainingJob


def host_names(count: int) -> list[str]:
    return [f"algo-{number}" for number in range(1, count + 1)]


def variables(service: Service, region: str) -> dict[str, str]:
    """The job's role as the container sees it: credentials, a region, and where the services are."""
    return {
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": AWS_KEY,
        "AWS_SECRET_ACCESS_KEY": AWS_KEY,
        "AWS_ENDPOINT_URL": service.practice.aws_url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def group(
    service: Service,
    name: str,
    folder: Path,
    image: Image,
    command: list[str],
    environment: dict[str, str],
    hosts: list[str],
    *,
    seconds: float = 0,
    grace: float = GRACE,
) -> HostGroup:
    """Hosts that run one command; each has ``<folder>/<host>/ml`` as ``/opt/ml``."""
    limits = service.practice.limits
    addresses = service.practice.executor.addresses(len(hosts))
    made = tuple(
        Host(
            name=host,
            address=address,
            command=tuple(command),
            environment={**image.variables(), **environment},
            folder=folder / host / "work",
            mounts={"/opt/ml": folder / host / "ml"},
            log=folder / "logs" / f"{host}.txt",
        )
        for host, address in zip(hosts, addresses, strict=True)
    )
    for host in made:
        host.mounts["/opt/ml"].mkdir(parents=True, exist_ok=True)
    return HostGroup(name, made, Limits(cpu=limits.cpu, memory=limits.memory, seconds=seconds, grace=grace))

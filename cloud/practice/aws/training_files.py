"""What lies in ``/opt/ml`` of a training job's hosts: configuration, channels, checkpoints."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from cloud.practice.aws import channels
from cloud.practice.aws.service import Service
from cloud.practice.hosts import HostGroup

_CHECKPOINTS = "/opt/ml/checkpoints"


def host_count(params: dict[str, Any]) -> int:
    resources = params["ResourceConfig"]
    return sum(each["InstanceCount"] for each in resources["InstanceGroups"]) if "InstanceGroups" in resources else resources["InstanceCount"]


def furnish(service: Service, params: dict[str, Any], folder: Path, hosts: list[str]) -> None:
    """Make every host's ``<folder>/<host>/ml`` anew.

    Errors: Failed when a channel has no data.
    """
    inputs = params.get("InputDataConfig", [])
    mode = params["AlgorithmSpecification"]["TrainingInputMode"]
    for index, host in enumerate(hosts):
        shutil.rmtree(folder / host, ignore_errors=True)
        ml = folder / host / "ml"
        for name in ("input/config", "input/data", "model", "output/data", "code"):
            (ml / name).mkdir(parents=True)
        config = ml / "input/config"
        config.joinpath("hyperparameters.json").write_text(json.dumps(params.get("HyperParameters", {})))
        config.joinpath("inputdataconfig.json").write_text(json.dumps({each["ChannelName"]: _channel(each, mode) for each in inputs}))
        config.joinpath("resourceconfig.json").write_text(json.dumps(_resources(params["ResourceConfig"], host, hosts)))
        for channel in inputs:
            source, name = channel["DataSource"]["S3DataSource"], channel["ChannelName"]
            channels.fetch(service, source, ml / "input/data" / name, index, len(hosts), f"channel {name}")


def _resources(resources: dict[str, Any], host: str, hosts: list[str]) -> dict[str, Any]:
    """``resourceconfig.json`` of one host."""
    left = list(hosts)
    groups = []
    for each in resources.get("InstanceGroups") or [{"InstanceGroupName": "homogeneousCluster", **resources}]:
        names = [left.pop(0) for _ in range(each["InstanceCount"])]
        groups.append({"instance_group_name": each["InstanceGroupName"], "instance_type": each["InstanceType"], "hosts": names})
    mine = next(each for each in groups if host in each["hosts"])
    return {
        "current_host": host,
        "current_instance_type": mine["instance_type"],
        "current_group_name": mine["instance_group_name"],
        "hosts": hosts,
        "instance_groups": groups,
        "network_interface_name": "lo",
    }


def _channel(channel: dict[str, Any], default: str) -> dict[str, str]:
    """A channel as ``inputdataconfig.json`` says it; FastFile shows as File."""
    mode = channel.get("InputMode", default)
    facts = {
        "TrainingInputMode": "File" if mode == "FastFile" else mode,
        "S3DistributionType": channel["DataSource"]["S3DataSource"].get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
    }
    return facts | ({"ContentType": channel["ContentType"]} if "ContentType" in channel else {})


class Checkpoints:
    """A folder on every host that S3 follows while the job runs, and that begins with what S3 holds."""

    def __init__(self, service: Service, params: dict[str, Any], folder: Path) -> None:
        self._service, self._folder = service, folder / "checkpoints"
        self._config = params.get("CheckpointConfig")
        self._known: dict[Path, tuple[float, int]] = {}

    def share(self, group: HostGroup) -> None:
        """Mount it on every host of a group that is about to start."""
        for host in group.hosts:
            ml = host.mounts["/opt/ml"]
            if not self._config:
                (ml / "checkpoints").mkdir(exist_ok=True)
                continue
            folder = self._folder / host.name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            path = self._config.get("LocalPath", _CHECKPOINTS)
            if path.startswith("/opt/ml/"):
                (ml / path.removeprefix("/opt/ml/")).mkdir(parents=True, exist_ok=True)
            host.mounts[path] = folder
            source = {"S3DataType": "S3Prefix", "S3Uri": self._config["S3Uri"].rstrip("/") + "/"}
            if channels.keys_of(self._service, source)[2]:
                channels.fetch(self._service, source, folder, 0, 1, "checkpoints")
            self._known |= {path: (path.stat().st_mtime, path.stat().st_size) for path in folder.rglob("*") if path.is_file()}

    def sync(self) -> None:
        if self._config:
            for folder in sorted(self._folder.glob("*")):
                channels.upload(self._service, folder, self._config["S3Uri"], self._known)

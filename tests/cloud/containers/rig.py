"""A container by hand: its ``/opt/ml`` as SageMaker furnishes it, on hosts that are processes with names and mounts of their own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloud.practice.hosts import Ended, Executor, Host, HostGroup, Limits, Run
from jobs.contracts.job import Job
from tests.conftest import REPOSITORY
from tests.jobs.steps.training import TINY

LIMIT = 240  # seconds until a container must have ended


@dataclass
class Container:
    """One job: ``start`` it and look at its folders afterwards. ``data`` are the channels: name -> a folder here."""

    executor: Executor
    folder: Path
    program: str
    count: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Path] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [f"algo-{number}" for number in range(1, self.count + 1)]

    def ml(self, host: str = "algo-1") -> Path:
        return self.folder / host / "ml"

    def start(self, *arguments: str, grace: float = 20) -> Run:
        addresses = self.executor.addresses(self.count)
        hosts = [self._host(name, address, arguments) for name, address in zip(self.names, addresses, strict=True)]
        group = HostGroup(self.program, tuple(hosts), Limits(seconds=LIMIT, grace=grace))
        return self.executor.start(group, lambda host, line: self.lines.append((host, line)))

    def run(self, *arguments: str) -> Ended:
        ended = self.start(*arguments).wait(LIMIT + 30)
        assert ended is not None, self.text
        return ended

    @property
    def text(self) -> str:
        return "\n".join(f"{host}: {line}" for host, line in self.lines)

    def reason(self, host: str = "algo-1", name: str = "failure") -> str:
        return (self.ml(host) / "output" / name).read_text()

    def _host(self, name: str, address: str, arguments: Sequence[str]) -> Host:
        ml = self.ml(name)
        config = ml / "input" / "config"
        for folder in (config, ml / "config", ml / "input" / "data", ml / "model", ml / "processing", ml / "output"):
            folder.mkdir(parents=True, exist_ok=True)
        resources = {"current_host": name, "hosts": self.names, "network_interface_name": "lo", "current_group_name": "homogeneousCluster"}
        group = {"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.large", "hosts": self.names}
        write(config / "resourceconfig.json", resources | {"current_instance_type": "ml.m5.large", "instance_groups": [group]})
        write(config / "hyperparameters.json", dict(self.hyperparameters))
        channel = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
        write(config / "inputdataconfig.json", dict.fromkeys(self.data, channel))
        mounts = {"/opt/ml": ml} | {f"/opt/ml/input/data/{channel}": here for channel, here in self.data.items()}
        for channel in self.data:
            (ml / "input" / "data" / channel).mkdir(exist_ok=True)
        command = (sys.executable, "-m", f"cloud.containers.{self.program}", *arguments)
        return Host(name, address, command, variables() | dict(self.environment), self.folder / name / "work", mounts, self.folder / f"{name}.log")


def variables() -> dict[str, str]:
    """What every container has: the image's own, and the way to the object store."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "JAVA_")) or name in ("PATH", "HOME", "LANG")}
    return kept | {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}


def write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


def step(kind: str, step_folder: str, *, inputs: Mapping[str, str], outputs: Mapping[str, str], code: str, **more: Any) -> dict[str, str]:
    """job.json in the step's folder, and the variables that lead a container to it."""
    from jobs.contracts import storage

    job = Job(pipeline="tiny", run="r1", step=kind, kind=kind, inputs=tuple(inputs), outputs=tuple(outputs), **({"fingerprint": "f1"} | more))
    storage.write_bytes(f"{step_folder}/job.json", job.model_dump_json().encode())
    told = {"SEATRIAL_JOB_FILE": f"{step_folder}/job.json", "SEATRIAL_STEP_DIR": step_folder, "SEATRIAL_CODE": code}
    told |= {f"SEATRIAL_INPUT_{name.upper()}": place for name, place in inputs.items()}
    return told | {f"SEATRIAL_OUTPUT_{name.upper()}": place for name, place in outputs.items()}


def wait_until(condition: Callable[[], object], container: Container, run: Run, seconds: float = 60) -> None:
    import time

    deadline = time.monotonic() + seconds
    while not condition():
        assert run.is_alive, container.text
        assert time.monotonic() < deadline, container.text
        time.sleep(0.05)


__all__ = ["TINY", "Container", "step", "variables", "wait_until", "write"]

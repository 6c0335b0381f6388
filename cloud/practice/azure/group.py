"""From a command job to the hosts that run it: the code snapshot, the mounts, ``AZUREML_*``, and a distribution's own variables."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloud.practice.azure import distributions, seeds
from cloud.practice.azure.addresses import WORKSPACE_ID
from cloud.practice.azure.checks import EXPRESSION, mapping
from cloud.practice.azure.durations import seconds
from cloud.practice.azure.places import ARTIFACT_ROOT, Places, location
from cloud.practice.hosts import Host, HostGroup, Limits
from cloud.practice.images import Image
from cloud.practice.settings import GROUP, SUBSCRIPTION, WORKSPACE, Practice

GRACE = 30.0  # seconds that a cancelled job has
_OPTIONAL = re.compile(r"\$\[\[(.*?)\]\]", re.DOTALL)
_LAUNCH = Path(__file__).with_name("launch.py")


@dataclass
class Work:
    """A job made ready: what its command is given, and where that lies here."""

    name: str
    properties: dict[str, Any]
    folder: Path  # of the job, here
    artifacts: Path  # where ./outputs, ./logs and the logs lie, here
    values: dict[str, str] = field(default_factory=dict)  # "inputs.x" -> text in the command
    mounts: dict[str, Path] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return int(mapping(self.properties, "resources").get("instanceCount", 1))


def prepare(name: str, properties: dict[str, Any], root: Path, places: Places, search: dict[str, Any] | None = None) -> Work:
    """Fetch and mount everything that the job names.

    Errors: Fault when an input is not there.
    """
    folder = root / "jobs" / name
    shutil.rmtree(folder, ignore_errors=True)
    work = Work(name, properties, folder, root / "blobs" / "azureml" / f"{ARTIFACT_ROOT}{name}")
    work.values = {f"search_space.{key}": str(value) for key, value in (search or {}).items()}
    inside = f"/mnt/azureml/cr/j/{name}/cap/data-capability/wd"
    for key, each in mapping(properties, "inputs").items():
        work.values[f"inputs.{key}"] = _input(work, each, f"{inside}/INPUT_{key}", places)
    for key, each in mapping(properties, "outputs").items():
        work.values[f"outputs.{key}"] = _output(work, each, f"{inside}/{key}", places)
    for kept in ("outputs", "logs", "user_logs"):
        (work.artifacts / kept).mkdir(parents=True, exist_ok=True)
    return work


def _input(work: Work, given: dict[str, Any], inside: str, places: Places) -> str:
    if given["jobInputType"] == "literal":
        return str(given["value"])
    if given.get("mode") == "Direct":
        return str(given["uri"])
    here = places.find(given["uri"], "models" if given["jobInputType"].endswith("model") else "data").path
    if not here.exists():
        raise FileNotFoundError(given["uri"])
    local = work.folder / "inputs" / Path(inside).name
    if here.is_file():
        local.mkdir(parents=True)
        shutil.copy2(here, local / here.name)
        work.mounts[inside] = local
        return f"{inside}/{here.name}"
    if given.get("mode") in ("Download", "EvalDownload"):
        shutil.copytree(here, local)
        here = local
    work.mounts[inside] = here
    return inside


def _output(work: Work, given: dict[str, Any], inside: str, places: Places) -> str:
    if given.get("mode") == "Direct":
        return str(given["uri"])
    here = places.find(given["uri"]).path
    if given["jobOutputType"] == "uri_file":
        here.parent.mkdir(parents=True, exist_ok=True)
        work.mounts[inside] = here.parent
        return f"{inside}/{here.name}"
    here.mkdir(parents=True, exist_ok=True)
    work.mounts[inside] = here
    return inside


def expand(command: str, values: dict[str, str]) -> str:
    """``${{inputs.x}}`` and the like become values; ``$[[ ... ]]`` goes when what it names was not given."""

    def optional(found: re.Match[str]) -> str:
        return found[1] if all(f"{kind}.{name}" in values for kind, name in EXPRESSION.findall(found[1])) else ""

    return EXPRESSION.sub(lambda found: values[f"{found[1]}.{found[2]}"], _OPTIONAL.sub(optional, command))


def hosts(work: Work, practice: Practice, image: Image, environment: dict[str, str], places: Places) -> HostGroup:
    """One host for each instance. The command runs in ``sh`` in a copy of the code snapshot, as on the service."""
    addresses = practice.executor.addresses(work.count)
    names = [f"node-{index}" for index in range(work.count)]
    distribution = mapping(work.properties, "distribution")
    kind = distribution.get("distributionType", "")
    command = expand(work.properties["command"], work.values)
    cores = practice.limits.cpu or os.cpu_count() or 1
    token, ray = (
        secrets.token_hex(32),
        distributions.ray_scripts(distribution, command, addresses, distributions.ray_port(distribution), cores) if kind == "Ray" else [],
    )
    made = []
    for index, (name, address) in enumerate(zip(names, addresses, strict=True)):
        variables = {**image.variables(), **environment, **identity(work, practice)}
        variables |= {"AZUREML_NODE_COUNT": str(work.count), "NODE_RANK": str(index)} if work.count > 1 else {}
        variables |= {
            f"AZURE_ML_{'INPUT' if key.startswith('inputs') else 'OUTPUT'}_{key.split('.', 1)[1]}": value
            for key, value in work.values.items()
            if not key.startswith("search")
        }
        variables |= {key: expand(str(value), work.values) for key, value in mapping(work.properties, "environmentVariables").items()}
        words: tuple[str, ...] = ("/bin/sh", "-c", command)
        if kind == "Ray":
            words = ("/bin/sh", "-c", ray[index])
            variables |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "RAY_worker_niceness": "0"}
        elif kind:
            variables |= distributions.rendezvous(kind, distribution, addresses, index)
            words = (sys.executable, "-I", "-S", str(_LAUNCH), kind, str(distributions.processes(distribution)), *words)
        made.append(Host(name, address, words, variables, _snapshot(work, name, places), work.mounts, log_file(work, index, bool(kind))))
    limit = mapping(work.properties, "limits").get("timeout")
    bounds = Limits(practice.limits.cpu, practice.limits.memory, seconds(limit) if limit else 0, GRACE)
    return HostGroup(work.name, tuple(made), bounds, leader=names[0] if kind == "Ray" else "")


def log_file(work: Work, index: int, distributed: bool) -> Path:
    logs = work.artifacts / "user_logs"
    return logs / (f"std_log_process_{index}.txt" if distributed or work.count > 1 else "std_log.txt")


def _snapshot(work: Work, host: str, places: Places) -> Path:
    """The working directory: the code, and ``outputs`` and ``logs`` that are the run's artefacts."""
    folder = work.folder / host
    asset = places.asset(work.properties["codeId"], "codes") if work.properties.get("codeId") else None
    source = places.find(location(asset)).path if asset else None
    if source and source.is_file():
        folder.mkdir(parents=True)
        shutil.copy2(source, folder / source.name)
    elif source and source.is_dir():
        shutil.copytree(source, folder)
    else:
        folder.mkdir(parents=True)
    for kept in ("outputs", "logs"):
        if (folder / kept).is_dir():
            shutil.copytree(folder / kept, work.artifacts / kept, dirs_exist_ok=True)
            shutil.rmtree(folder / kept)
        (folder / kept).symlink_to(work.artifacts / kept)
    return folder


def identity(work: Work, practice: Practice) -> dict[str, str]:
    """Who and where the job is: ``AZUREML_*``, the started MLflow run, and the way to this service."""
    experiment = work.properties.get("experimentName") or "Default"
    return {
        "AZUREML_RUN_ID": work.name,
        "AZUREML_ARM_SUBSCRIPTION": SUBSCRIPTION,
        "AZUREML_ARM_RESOURCEGROUP": GROUP,
        "AZUREML_ARM_WORKSPACE_NAME": WORKSPACE,
        "AZUREML_ARM_PROJECT_NAME": experiment,
        "AZUREML_EXPERIMENT_ID": experiment,
        "AZUREML_EXPERIMENT_SCOPE": f"{WORKSPACE_ID}/experiments/{experiment}",
        "AZUREML_WORKSPACE_ID": SUBSCRIPTION,
        "AZUREML_WORKSPACE_SCOPE": WORKSPACE_ID,
        "AZUREML_SERVICE_ENDPOINT": practice.azure_url,
        "AZUREML_DISCOVERY_SERVICE_ENDPOINT": f"{practice.azure_url}/discovery",
        "AZUREML_ROOT_RUN_ID": work.properties.get("properties", {}).get("azureml.rootRunId", work.name),
        "MLFLOW_TRACKING_URI": seeds.tracking_url(practice),
        "MLFLOW_RUN_ID": work.name,
        "MLFLOW_EXPERIMENT_ID": experiment,
        "MLFLOW_TRACKING_TOKEN": "practice",
        "MLFLOW_TRACKING_SERVER_CERT_PATH": seeds.way_here(practice)["REQUESTS_CA_BUNDLE"],
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **seeds.way_here(practice),
    }

"""A command job's life: queued, its image found, its hosts started, watched, and its outputs registered."""

from __future__ import annotations

import time
from typing import Any

from cloud.practice.azure import group
from cloud.practice.azure.addresses import address
from cloud.practice.azure.checks import mapping
from cloud.practice.azure.documents import Document
from cloud.practice.azure.faults import Fault
from cloud.practice.azure.group import Work
from cloud.practice.azure.jobs import JobCancelled, JobFailed, Jobs, Live
from cloud.practice.hosts import Ended, Run
from cloud.practice.images import Image
from cloud.practice.inject import Injection

_LOOK = 0.05  # seconds between two looks at a drill or a cancellation
_TAIL = 15  # lines of the log in an error


def check(jobs: Jobs, properties: Document) -> None:
    jobs.checks.command(properties)


def run(jobs: Jobs, live: Live, properties: Document, search: dict[str, Any] | None) -> None:
    injections = jobs.practice.injections
    jobs.state(live.name, "Queued")
    if slow := injections.take("slow-start", "azure", live.name):
        jobs.pause(live, slow.seconds)
    jobs.state(live.name, "Preparing")
    image, environment = find_image(jobs, properties["environmentId"])
    if injections.take("image-pull", "azure", live.name):
        raise JobFailed(f"Failed to pull Docker image {image.name}. Reason: image pull was refused by the registry.", "ImagePullFailure")
    while not _attempt(jobs, live, properties, search, image, environment):
        jobs.state(live.name, "Queued", "the low-priority node was preempted; the job starts again")
    jobs.state(live.name, "Finalizing")
    register(jobs, live.name, properties)


def find_image(jobs: Jobs, reference: str) -> tuple[Image, dict[str, str]]:
    """An environment's image, and its variables.

    Errors: JobFailed for an image that practice does not have: the service would fail to build or pull it.
    """
    asset = jobs.places.asset(reference, "environments")
    assert asset  # checked when the job was accepted
    properties = asset["properties"]
    name = properties.get("image") or ""
    image = jobs.practice.images.find(name) if name else None
    if image is None:
        there = ", ".join(jobs.practice.images.names())
        what = f"Image {name} is not there" if name else "Practice builds no images"
        raise JobFailed(f"{what}. It has {there}; `seatrial practice image add` registers a Python environment as another.", "ImageBuildFailure")
    return image, mapping(properties, "environmentVariables")


def _attempt(jobs: Jobs, live: Live, properties: Document, search: dict[str, Any] | None, image: Image, environment: dict[str, str]) -> bool:
    """False when the hosts were preempted and the job has to start again."""
    jobs.state(live.name, "Provisioning")
    work = _prepared(jobs, live, properties, search)
    if live.cancelled.is_set():
        raise JobCancelled
    jobs.state(live.name, "Starting")
    hosts = group.hosts(work, jobs.practice, image, environment, jobs.places)
    jobs.practice.events.note("azure", properties["jobType"].lower(), live.name, logs={host.name: host.log for host in hosts.hosts})
    live.run = jobs.practice.executor.start(hosts)
    jobs.state(live.name, "Running")
    drill = _watch(jobs, live, live.run, properties)
    ended = live.run.wait()
    assert ended
    if drill and drill.kind == "spot-interruption" and not live.cancelled.is_set():
        return False
    _judge(live, work, ended, drill)
    return True


def _prepared(jobs: Jobs, live: Live, properties: Document, search: dict[str, Any] | None) -> Work:
    try:
        return group.prepare(live.name, properties, jobs.root, jobs.places, search)
    except FileNotFoundError as error:
        message = f"DataAccessError: The requested stream was not found: {error}. Please make sure the request uri is correct."
        raise JobFailed(message) from error
    except Fault as fault:
        raise JobFailed(fault.message) from fault


def _watch(jobs: Jobs, live: Live, run: Run, properties: Document) -> Injection | None:
    """Wait for the end, with a drill on the way if one is armed for this job, now or meanwhile: returned once it has struck."""
    injections = jobs.practice.injections
    kinds = ("spot-interruption", "host-failure") if is_low_priority(jobs, properties) else ("host-failure",)
    started, drill = time.monotonic(), None
    while run.is_alive:
        if live.cancelled.is_set():
            run.stop()
        drill = drill or next((found for kind in kinds if (found := injections.take(kind, "azure", live.name))), None)
        if drill and time.monotonic() - started >= drill.seconds:
            run.kill("" if drill.kind == "spot-interruption" else run.group.hosts[-1].name)
            run.wait()
            return drill
        run.wait(_LOOK)
    return None


def is_low_priority(jobs: Jobs, properties: Document) -> bool:
    if (mapping(properties, "queueSettings").get("jobTier") or "").capitalize() == "Spot":
        return True
    compute = jobs.checks.compute(properties)
    return bool(compute) and compute["properties"].get("properties", {}).get("vmPriority") == "LowPriority"  # type: ignore[index]


def _judge(live: Live, work: Work, ended: Ended, drill: Injection | None) -> None:
    if live.cancelled.is_set():
        raise JobCancelled
    if ended.reason == "time":
        raise JobCancelled(f"The job ran longer than its limit of {mapping(work.properties, 'limits').get('timeout')} and was canceled.")
    if ended.reason == "memory":
        raise JobFailed("The job used more memory than the node has and was killed (exit code 137). Use a larger size or smaller batches.", "OutOfMemory")
    if drill:
        raise JobFailed(f"Node {ended.failed_host} became unusable and the job could not continue.", "NodeFailure")
    if not ended.succeeded:
        index = list(ended.codes).index(ended.failed_host)
        file = next(
            (path for path in sorted((work.artifacts / "user_logs").glob("*.txt")) if path.stem.endswith(f"_{index}")),
            work.artifacts / "user_logs" / "std_log.txt",
        )
        tail = "\n".join(file.read_text(errors="replace").splitlines()[-_TAIL:]) if file.exists() else ""
        where = f"user_logs/{file.name}"
        raise JobFailed(
            f"Execution failed. User process '{work.properties['command'].split()[0]}' exited with status code {ended.codes[ended.failed_host]}. "
            f"Please check log file '{where}' for error details. Error: {tail}"
        )


def register(jobs: Jobs, name: str, properties: Document) -> None:
    """Outputs that ask for a name become data assets or models."""
    for key, each in mapping(properties, "outputs").items():
        asset = each.get("assetName")
        if not asset:
            continue
        kind = "models" if each["jobOutputType"].endswith("model") else "data"
        versions = jobs.documents.list(address(kind, asset, "versions"))
        version = str(each.get("assetVersion") or max((int(body["name"]) for body in versions if body["name"].isdigit()), default=0) + 1)
        uri = (
            {"modelUri": each["uri"], "modelType": each["jobOutputType"], "jobName": name, "flavors": {}}
            if kind == "models"
            else {"dataUri": each["uri"], "dataType": each["jobOutputType"]}
        )
        jobs.documents.put(address(kind, asset), {"latestVersion": version, "nextVersion": str(version), "tags": {}, "properties": {}, "isArchived": False})
        facts = {**uri, "tags": {}, "properties": {"from": key}, "isArchived": False, "isAnonymous": False}
        jobs.documents.put(address(kind, asset, "versions", version), facts)

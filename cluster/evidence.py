"""What a cluster says about a job, as lines ``Reason: message``: conditions, pods, events. Whoever matches causes reads these.

A pod that runs has overcome what its events complain about, so those are left out; so are all events once a job has succeeded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain

from cluster import states
from cluster.kube_client import Api, Object
from cluster.rendering import labels
from jobs.contracts.states import JobState

MANAGED_BY = "app.kubernetes.io/managed-by"
_OPERATOR_LIMIT = 60  # seconds within which a working KubeRay operator has said something
_JOB_NAME, _RAY_CLUSTER = "batch.kubernetes.io/job-name", "ray.io/cluster"


def own_pods(api: Api, body: Object) -> list[Object]:
    """Pods of a RayJob (cluster and submitter) or a Job (and of its Spark executors), oldest first."""
    name, cluster = body["metadata"]["name"], (body.get("status") or {}).get("rayClusterName") or None
    marks = body["metadata"].get("labels") or {}
    chosen = {key: marks[key] for key in (labels.RUN, labels.STEP) if key in marks} or {MANAGED_BY: "seatrial"}
    pods = api.list("Pod", ",".join(f"{key}={value}" for key, value in chosen.items()))
    own = [pod for pod in pods if _label(pod, _JOB_NAME) == name or (cluster and _label(pod, _RAY_CLUSTER) == cluster)]
    drivers = {pod["metadata"].get("uid") for pod in own}
    own += [pod for pod in pods if any(owner.get("uid") in drivers for owner in pod["metadata"].get("ownerReferences") or ())]
    return sorted(own, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))


def is_of_job(pod: Object, name: str) -> bool:
    """Whether it belongs to the ``batch/v1`` Job of this name: a RayJob's submitter, or a Job's own."""
    return _label(pod, _JOB_NAME) == name


def is_head(pod: Object) -> bool:
    return _label(pod, "ray.io/node-type") == "head"


def _label(pod: Object, key: str) -> str | None:
    return (pod["metadata"].get("labels") or {}).get(key)


def texts(api: Api, body: Object, pods: Sequence[Object]) -> list[str]:
    """Everything worth matching, the object's own words first."""
    if states.state_of(body, pods) == JobState.SUCCEEDED:
        return []
    troubled = [pod for pod in pods if not is_well(pod)]
    found = chain(_object_texts(body), *map(pod_texts, troubled), _event_texts(api, body, pods))
    return list(dict.fromkeys(found))


def _object_texts(body: Object) -> Iterator[str]:
    status = body.get("status") or {}
    if body["kind"] == "RayJob" and not status.get("jobDeploymentStatus") and _age(body) > _OPERATOR_LIMIT:
        yield f"RayJob has had no status for {_age(body)} s"
    if status.get("reason") or status.get("message"):
        yield _line(status.get("reason", ""), status.get("message", ""))
    for condition in states.conditions(body).values():
        yield _line(condition.get("reason") or condition["type"], condition.get("message", ""))


def _age(body: Object) -> int:
    """Seconds."""
    created = str(body["metadata"].get("creationTimestamp", "")).replace("Z", "+00:00")
    return int((datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds()) if created else 0


def pod_texts(pod: Object) -> list[str]:
    """Why a pod waits, and how its containers ended."""
    status = pod.get("status") or {}
    found = [_line(status.get("reason", ""), status.get("message", ""))]
    for condition in status.get("conditions") or ():
        # A container that is not ready says so in its own words below.
        if condition.get("status") == "False" and condition.get("type") not in ("Ready", "ContainersReady"):
            found.append(_line(condition.get("reason", ""), condition.get("message", "")))
    for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        found += _container_texts(container)
    return [text for text in found if text]


def _container_texts(container: Object) -> Iterator[str]:
    for state in (container.get("state") or {}, container.get("lastState") or {}):
        if waiting := state.get("waiting"):
            yield _line(waiting.get("reason", ""), waiting.get("message", ""))
        ended = state.get("terminated") or {}
        if ended.get("exitCode"):
            told = f"{ended['message'].strip()} " if ended.get("message") else ""
            yield _line(ended.get("reason", "Error"), f"{told}container {container.get('name', '')} ended with exit code {ended['exitCode']}")


def _event_texts(api: Api, body: Object, pods: Sequence[Object]) -> Iterator[str]:
    """Events of the object, of what it owns and of its troubled pods, newest first."""
    well = {pod["metadata"]["name"] for pod in pods if is_well(pod)}
    troubled = {pod["metadata"]["name"] for pod in pods} - well
    prefix = body["metadata"]["name"]
    for event in sorted(api.list("Event"), key=moment, reverse=True):
        name = str(event.get("involvedObject", {}).get("name", ""))
        if name in troubled or (name not in well and (name == prefix or name.startswith(f"{prefix}-"))):
            yield _line(event.get("reason", ""), event.get("message", ""))


def moment(event: Object) -> str:
    """When an event was last seen, as text that sorts."""
    series = event.get("series") or {}
    return str(series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")


def is_well(pod: Object) -> bool:
    """It runs as it should, or has done its work."""
    status = pod.get("status") or {}
    if status.get("phase") == "Succeeded":
        return True
    containers = status.get("containerStatuses") or ()
    return status.get("phase") == "Running" and all(each.get("ready") and not each.get("restartCount") for each in containers)


def _line(reason: str, message: str) -> str:
    return ": ".join(part for part in (reason, message) if part)

"""Sends a plan's objects to a cluster, each only if it is not there yet, so that repeating it is harmless.

The main object comes last, because it is what starts work. Then the others get it as an owner, so that deleting it, or its own
clean-up, takes them along; code that several jobs share has several owners and goes with the last. A submit that dies in between
leaves objects without an owner, and its repetition gives them one.
"""

from __future__ import annotations

from cluster import states
from cluster.kube_client import STRATEGIC, Api, Object
from cluster.rendering import labels
from jobs.contracts.errors import RequestError, RunError

_ATTEMPTS = 3  # an object may vanish between "it is there" and "show it"


def send(api: Api, bodies: list[Object]) -> Object:
    """The main object, as the cluster has it.

    Errors: RequestError when something else has one of the names.
    """
    *parts, main = bodies
    for body in parts:
        _ensure(api, body)
    made = _ensure(api, main)
    if states.was_stopped(made):
        made = _start_again(api, made)
    for body in parts:
        _adopt(api, body, made)
    return made


def _ensure(api: Api, body: Object) -> Object:
    kind, name = str(body["kind"]), str(body["metadata"]["name"])
    for _ in range(_ATTEMPTS):
        found = api.create(body) or api.get(kind, name)
        if found is not None:
            _check_same(api, body, found)
            return found
    raise RunError(f"{kind} {name} comes and goes", where=f"{api.context}/{api.namespace}", hint="something else deletes it; run the same command again")


def _check_same(api: Api, wanted: Object, found: Object) -> None:
    where = f"{api.context}/{api.namespace}/{wanted['kind']}/{wanted['metadata']['name']}"
    if found["metadata"].get("deletionTimestamp"):
        raise RequestError("an object of this name is being deleted", where=where, hint="wait until it is gone and run the same command again")
    if _digest(wanted) != _digest(found):
        raise RequestError("something else has this name", where=where, hint="delete it there, or give the pipeline another name")


def _digest(body: Object) -> str:
    return str((body["metadata"].get("annotations") or {}).get(labels.FINGERPRINT, ""))


def _adopt(api: Api, body: Object, owner: Object) -> None:
    """A strategic merge adds to the list of owners, by uid."""
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
    changes = {"metadata": {"ownerReferences": [reference]}}
    if api.patch(body["kind"], body["metadata"]["name"], changes, STRATEGIC) is None:
        api.create({**body, "metadata": {**body["metadata"], **changes["metadata"]}})  # gone with its last owner just now


def stop(api: Api, body: Object) -> None:
    """Suspend, and mark as stopped on request: one patch, so no reader sees the one without the other."""
    _suspend(api, body, {states.STOPPED: "true"}, suspend=True)


def _start_again(api: Api, body: Object) -> Object:
    return _suspend(api, body, {states.STOPPED: None}, suspend=False)


def _suspend(api: Api, body: Object, annotations: Object, *, suspend: bool) -> Object:
    workloads = _workloads(api, body)
    # Kueue owns `suspend` of what it queues, and would lift ours: its own switch is on the Workload.
    spec = {} if workloads else {"spec": {"suspend": suspend}}
    changed = api.patch(body["kind"], body["metadata"]["name"], {"metadata": {"annotations": annotations}, **spec})
    for workload in workloads:
        api.patch("Workload", workload["metadata"]["name"], {"spec": {"active": not suspend}})
    return changed or body


def _workloads(api: Api, body: Object) -> list[Object]:
    queued = labels.QUEUE in (body["metadata"].get("labels") or {})
    return api.list("Workload", f"kueue.x-k8s.io/job-uid={body['metadata']['uid']}") if queued else []

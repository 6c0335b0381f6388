"""Why something that should come up does not: pods, events and conditions as the doctor's causes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cluster.bringup.kubectl import Object
from cluster.evidence import is_well, moment, pod_texts
from jobs.control.backend import Cause


def causes(pods: Sequence[Object], events: Sequence[Object], others: Sequence[Object] = ()) -> list[Cause]:
    """``others``: objects with conditions, such as RayServices and claims."""
    from jobs.control.causes import match

    return match(list(dict.fromkeys(_texts(pods, events, others))))


def _texts(pods: Sequence[Object], events: Sequence[Object], others: Sequence[Object]) -> Iterator[str]:
    troubled = [pod for pod in pods if not is_well(pod)]
    for pod in troubled:
        yield from pod_texts(pod)
    for body in others:
        for condition in (body.get("status") or {}).get("conditions") or ():
            if condition.get("status") == "False" and condition.get("message"):
                yield f"{condition.get('reason', '')}: {condition['message']}"
    there = {pod["metadata"]["name"]: pod for pod in pods}
    for event in sorted(events, key=moment, reverse=True):
        about = event.get("involvedObject") or {}
        # What a pod overcame, or took with it, explains nothing any more.
        is_past = about.get("kind") == "Pod" and (about.get("name") not in there or is_well(there[about["name"]]))
        if event.get("type") != "Normal" and not is_past:
            yield f"{event.get('reason', '')}: {event.get('message', '')}"

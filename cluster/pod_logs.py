"""A job's log, as its pods wrote it: line by line, over reconnects and restarts, nothing twice.

Of a RayJob the submitter's pods speak (they repeat the driver's output); if there never was one, the head. Of a Job its own pods do.
The server's ``sinceTime`` counts whole seconds, so a reconnect repeats up to a second, which is recognised by the lines' time stamps.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cluster import states
from cluster.evidence import is_head, is_of_job, own_pods
from cluster.kube_client import Api, Object

_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\S+")
_SILENT = ("Pending", "Unknown")  # phases of pods that have no log, or cannot be asked


@dataclass
class _Cursor:
    """How far a pod has been read."""

    stamp: str = ""
    repeats: int = 0  # lines read with exactly this time stamp

    def fresh(self, lines: Iterable[str]) -> Iterator[str]:
        """The text of lines that were not read before. Kubelets write stamps of fixed width, so they sort as text."""
        known, skipped = self.stamp, 0
        for line in lines:
            stamp, _, text = line.partition(" ")
            if not _STAMP.fullmatch(stamp):  # the kubelet's own words
                yield f"{line}\n"
                continue
            if stamp < known:
                continue
            if stamp == known and skipped < self.repeats:
                skipped += 1
                continue
            self.repeats = self.repeats + 1 if stamp == self.stamp else 1
            skipped = skipped + 1 if stamp == known else skipped
            self.stamp = stamp
            yield f"{text}\n"


def lines(api: Api, kind: str, name: str, *, follow: bool, poll: float) -> Iterator[str]:
    """``follow`` ends when the job has ended, or when the cluster no longer knows it."""
    cursors: dict[str, _Cursor] = {}
    while True:
        body = api.get(kind, name)
        pods = own_pods(api, body) if body else []
        ended = body is None or states.state_of(body, pods).is_final  # before reading, so that nothing written in between is missed
        for pod in _speaking(pods, name, ended):
            yield from _read(api, pod, cursors.setdefault(pod["metadata"]["name"], _Cursor()), follow=follow and not ended)
        if ended or not follow:
            return
        time.sleep(poll)


def _speaking(pods: Sequence[Object], name: str, ended: bool) -> list[Object]:
    own = [pod for pod in pods if is_of_job(pod, name)]
    return own or ([pod for pod in pods if is_head(pod)] if ended else [])


def _read(api: Api, pod: Object, cursor: _Cursor, *, follow: bool) -> Iterator[str]:
    if (pod.get("status") or {}).get("phase", "Pending") not in _SILENT:
        container = pod["spec"]["containers"][0]["name"]
        yield from cursor.fresh(api.log(pod["metadata"]["name"], container, since=cursor.stamp, follow=follow and states.is_running(pod)))

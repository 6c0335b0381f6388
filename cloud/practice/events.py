"""What happened to each job, model and endpoint of both clouds, for the page: an append-only file, folded in memory.

A front calls :meth:`Events.begin` when it accepts a request and :meth:`Events.state` at every transition. Later, ``logs``
and ``artefacts`` may be added by :meth:`Events.note`.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Cloud = Literal["aws", "azure"]
Key = tuple[str, str, str]


@dataclass
class Transition:
    time: float  # seconds since the epoch
    status: str
    message: str = ""


@dataclass
class Record:
    """One thing on one cloud. ``logs``: host -> file here. ``artefacts``: URI -> file or folder here ("" when not on this disk)."""

    cloud: str
    kind: str  # training, processing, transform, tuning, endpoint, model; command, spark, sweep, pipeline
    name: str
    request: Any = None
    transitions: list[Transition] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    artefacts: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> str:
        return self.transitions[-1].status if self.transitions else ""

    def summary(self) -> dict[str, Any]:
        """Without the request, which may be long."""
        facts = asdict(self)
        facts.pop("request")
        return {**facts, "status": self.status}


class Events:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._records: dict[Key, Record] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                try:
                    self._fold(json.loads(line))
                except (ValueError, KeyError):  # the last line of a service that was killed may be half
                    continue

    def begin(self, cloud: Cloud, kind: str, name: str, request: Any) -> None:
        """A request was accepted; an earlier thing of the same name is forgotten."""
        self._add({"what": "begin", "cloud": cloud, "kind": kind, "name": name, "request": request})

    def state(self, cloud: Cloud, kind: str, name: str, status: str, message: str = "") -> None:
        self._add({"what": "state", "cloud": cloud, "kind": kind, "name": name, "status": status, "message": message})

    def note(self, cloud: Cloud, kind: str, name: str, *, logs: dict[str, Path] | None = None, artefacts: dict[str, str | Path] | None = None) -> None:
        """Files that belong to it: logs by host, artefacts by URI."""
        texts = {"logs": {host: str(path) for host, path in (logs or {}).items()}, "artefacts": {uri: str(path) for uri, path in (artefacts or {}).items()}}
        self._add({"what": "note", "cloud": cloud, "kind": kind, "name": name, **texts})

    def all(self) -> list[Record]:
        """Newest first."""
        with self._lock:
            return list(self._records.values())[::-1]

    def find(self, cloud: str, kind: str, name: str) -> Record | None:
        with self._lock:
            return self._records.get((cloud, kind, name))

    def _add(self, event: dict[str, Any]) -> None:
        event["time"] = time.time()
        with self._lock:
            self._fold(event)
            with self._path.open("a") as file:
                file.write(json.dumps(event, default=str) + "\n")

    def _fold(self, event: dict[str, Any]) -> None:
        key = (event["cloud"], event["kind"], event["name"])
        if event["what"] == "begin":
            self._records.pop(key, None)
            self._records[key] = Record(*key, request=event["request"])
            return
        record = self._records.setdefault(key, Record(*key))
        if event["what"] == "state":
            if not record.transitions or record.status != event["status"]:
                record.transitions.append(Transition(event["time"], event["status"], event["message"]))
        elif event["what"] == "note":
            record.logs |= event["logs"]
            record.artefacts |= event["artefacts"]

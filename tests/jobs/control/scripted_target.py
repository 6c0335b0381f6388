"""A target whose answers a test writes to disk, seen alike by every process: the outermost edge of the tests of submission.

<home>/scripted/<name>.json   what was sent, and how often      <name>.state   what status answers (absent = Running)
<home>/scripted/refuses       text of a cause that check tells   breaks         submit ends the process before it answers
<home>/scripted/unreachable   every question fails               hangs          no question is answered while it is there
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.contracts import storage
from jobs.contracts.errors import StorageError
from jobs.contracts.job import Job
from jobs.contracts.states import JobState
from jobs.control import backend
from jobs.control.backend import Cause
from jobs.control.home import Home
from jobs.control.plan import Plan, Request, Source
from jobs.control.spec import Step, Targets

if TYPE_CHECKING:
    import pytest

SCHEME = "scripted://"
# `python -c CLIENT submit …`: the command line in a process of its own that knows this target.
CLIENT = """
import sys
from jobs.control import backend
from jobs.control.cli import main
backend.BACKENDS["scripted"] = "tests.jobs.control.scripted_target:create"
backend.SCHEMES["scripted://"] = "scripted"
sys.exit(main(sys.argv[1:]))
"""


def register(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(backend.BACKENDS, "scripted", f"{__name__}:create")
    monkeypatch.setitem(backend.SCHEMES, SCHEME, "scripted")


def create(home: Home, targets: Targets) -> ScriptedBackend:
    return ScriptedBackend(home.root / "scripted", home)


class ScriptedBackend:
    poll = 0.01
    retries = False

    def __init__(self, folder: Path, home: Home) -> None:
        self.folder, self._home = folder, home
        folder.mkdir(parents=True, exist_ok=True)

    def plan(self, step: Step, job: Job, inputs: Mapping[str, Source], code: Source, context: Mapping[str, str], attempt: int = 1) -> Plan:
        name = f"{job.run}-{job.step}-{attempt}"
        folder = str(self._home.root / "store" / name)
        body = {"inputs": {key: source.uri for key, source in inputs.items()}, "context": dict(context), "job": job.model_dump(mode="json")}
        outputs = {key: storage.join(folder, key) for key in step.outputs}
        return Plan(
            "scripted", job.run, job.step, f"{SCHEME}here/{name}", folder, (Request("send", body),), outputs, losses=("spot: none",) if step.spot else ()
        )

    def check(self, plan: Plan) -> list[Cause]:
        self._answer()
        text = self.folder / "refuses"
        return [Cause("quota", text.read_text(), "ask for more")] if text.exists() else []

    def stage(self, plan: Plan) -> None:
        assert (self._home.runs / plan.run / "run.json").exists(), "recorded before anything is sent"

    def submit(self, plan: Plan) -> str:
        self._answer()
        path = self._path(plan.handle, ".json")
        sent = json.loads(path.read_text())["sent"] if path.exists() else 0
        path.write_text(json.dumps({"sent": sent + 1, **plan.requests[0].body}))
        if (self.folder / "breaks").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return plan.handle

    def status(self, handle: str) -> JobState:
        self._answer()
        if not self._path(handle, ".json").exists():
            return JobState.UNKNOWN
        state = self._path(handle, ".state")
        return JobState(state.read_text()) if state.exists() else JobState.RUNNING

    def stop(self, handle: str) -> None:
        if not self.status(handle).is_final:
            self._path(handle, ".state").write_text(JobState.STOPPED)

    def logs(self, handle: str, *, follow: bool = False) -> Iterator[str]:
        self._answer()
        yield from ("first\n", "second\n")

    def handles(self) -> Iterator[str]:
        return (f"{SCHEME}here/{path.stem}" for path in self.folder.glob("*.json"))

    def explain(self, handle: str) -> list[Cause]:
        return []

    def read(self, uri: str) -> bytes:
        return storage.read_bytes(uri)

    def exists(self, uri: str) -> bool:
        return storage.exists(uri)

    def fetch(self, uri: str) -> str:
        return uri

    def _path(self, handle: str, ending: str) -> Path:
        return self.folder / (handle.rpartition("/")[2] + ending)

    def _answer(self) -> None:
        if (self.folder / "unreachable").exists():
            raise StorageError("connection refused", where="scripted", hint="start it")
        while (self.folder / "hangs").exists():
            time.sleep(0.02)

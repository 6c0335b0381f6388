"""The local target with real child processes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest

from jobs.contracts.errors import RequestError, SetupError
from jobs.contracts.job import Job
from jobs.contracts.states import JobState
from jobs.control.home import Home
from jobs.control.local_backend import LocalBackend
from jobs.control.plan import Plan, Request, Source
from jobs.control.spec import Kind, Step

JOB = Job(pipeline="p", run="r1", step="one", kind="evaluate", fingerprint="f")


@pytest.fixture
def backend(tmp_path: Path) -> LocalBackend:
    home = Home(tmp_path / ".seatrial")
    home.create()
    return LocalBackend(home)


def _plan(program: str, secrets: dict[str, str] | None = None) -> Plan:
    body = {"argv": ["python", "-c", program], "env": {}, "secrets": secrets or {}, "job": JOB.model_dump(mode="json")}
    return Plan(target="local", run="r1", step="one", handle="local://r1/one", folder="", requests=(Request("process", body),), outputs={})


def _wait(backend: LocalBackend, state: JobState, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while backend.status("local://r1/one") != state and time.monotonic() < deadline:
        time.sleep(0.02)
    assert backend.status("local://r1/one") == state


@pytest.mark.parametrize(
    ("program", "state"), [("pass", JobState.SUCCEEDED), ("raise SystemExit(1)", JobState.FAILED), ("raise SystemExit(130)", JobState.STOPPED)]
)
def test_an_exit_code_is_a_state(backend: LocalBackend, program: str, state: JobState) -> None:
    backend.submit(_plan(program))
    _wait(backend, state)


def test_output_goes_to_the_log(backend: LocalBackend) -> None:
    backend.submit(_plan("print('hello from the step')"))
    _wait(backend, JobState.SUCCEEDED)
    assert list(backend.logs("local://r1/one")) == ["hello from the step\n"]


def test_submitting_twice_starts_once(backend: LocalBackend) -> None:
    plan = _plan("import time; print('up', flush=True); time.sleep(30)")
    assert backend.submit(plan) == backend.submit(plan)
    _wait(backend, JobState.RUNNING)
    backend.stop(plan.handle)
    assert list(backend.logs(plan.handle)) in (["up\n"], [])


def test_stopping_ends_the_whole_family_and_may_be_repeated(backend: LocalBackend, tmp_path: Path) -> None:
    child_pid = tmp_path / "pid"
    program = (
        "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        f"open({str(child_pid)!r}, 'w').write(str(child.pid)); time.sleep(60)"
    )
    handle = backend.submit(_plan(program))
    deadline = time.monotonic() + 20
    while not (child_pid.exists() and child_pid.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    grandchild = psutil.Process(int(child_pid.read_text()))
    backend.stop(handle)
    backend.stop(handle)
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE
    assert backend.status(handle) == JobState.STOPPED


def test_another_process_sees_the_state(backend: LocalBackend, tmp_path: Path) -> None:
    handle = backend.submit(_plan("import time; time.sleep(60)"))
    fresh = LocalBackend(Home(tmp_path / ".seatrial"))
    assert fresh.status(handle) == JobState.RUNNING
    fresh.stop(handle)
    assert fresh.status(handle) == JobState.STOPPED
    assert fresh.status("local://r1/never") == JobState.UNKNOWN
    backend.exit_code(handle)  # here both are one process: the starter must see its child's end, or Python warns of it


@pytest.mark.parametrize("handle", ["local://", "local://r1", "kubernetes://a/b", "local://../one", "local://r1/.."])
def test_what_is_no_handle_is_refused(backend: LocalBackend, handle: str) -> None:
    with pytest.raises(RequestError, match="not a handle"):
        backend.status(handle)


def test_a_secret_comes_from_the_shell_and_stays_out_of_the_plan(backend: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = _plan("import os; print(len(os.environ['PASSWORD']))", {"PASSWORD": "MY_SECRET"})
    with pytest.raises(SetupError, match="MY_SECRET"):
        backend.submit(plan)
    monkeypatch.setenv("MY_SECRET", "hunter2")
    backend.submit(plan)
    _wait(backend, JobState.SUCCEEDED)
    assert list(backend.logs(plan.handle)) == ["7\n"]
    assert "hunter2" not in str(plan)


def test_a_plan_is_pure(backend: LocalBackend) -> None:
    step = Step(kind="evaluate", outputs={"report": "report"}, env={"B": "2", "A": "1"}, spot=True)
    before = sorted(os.listdir(backend.folder("", "").parent))
    plans = [backend.plan(step, JOB, {"dataset": Source("/d", "f")}, Source("/code", "c"), {}) for _ in range(2)]
    assert str(plans[0]) == str(plans[1])
    assert plans[0].losses
    assert sorted(os.listdir(backend.folder("", "").parent)) == before


def test_a_driver_is_not_held_to_what_all_its_steps_use(backend: LocalBackend) -> None:
    code = Source("/code", "c")
    driver = Step.model_construct(kind=Kind.PIPELINE)
    (request,) = backend.plan(driver, JOB.model_copy(update={"kind": "pipeline"}), {}, code, {}).requests
    assert "SEATRIAL_MEMORY_LIMIT" not in request.body["env"]
    (request,) = backend.plan(Step(kind=Kind.EVALUATE), JOB, {}, code, {}).requests
    assert int(request.body["env"]["SEATRIAL_MEMORY_LIMIT"]) > 2 << 30

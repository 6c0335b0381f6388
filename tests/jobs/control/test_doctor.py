"""The doctor on this machine, on homes in every state, and on jobs of a scripted target."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from jobs.contracts.errors import RequestError, SetupError
from jobs.contracts.states import JobState
from jobs.control import backend, doctor, home_checks, machine, processes
from jobs.control.backend import Cause
from jobs.control.causes import match
from jobs.control.causes.table import TABLE
from jobs.control.home import Home
from jobs.control.runs import RunRecord, StepRecord

REPOSITORY = Path(__file__).parents[3]
GUIDE = REPOSITORY / "docs" / "guides" / "doctor.md"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / ".seatrial")
    made.create()
    return made


def _seatrial(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "jobs.control.cli", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **(env or {})}
    return subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False)


# This machine


def test_python_and_memory_are_judged(tmp_path: Path) -> None:
    assert machine.python((3, 12, 1)).status == "ok"
    assert machine.python((3, 10, 9)).passed is False
    (tmp_path / "memory.max").write_text(f"{2**30}\n")
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    small = machine.memory(tmp_path)
    assert (small.status, small.text) == ("warn", "1.0 GiB of memory, 1.5 cores")
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert "1.0 GiB" not in machine.memory(tmp_path).text


def test_an_extra_that_lacks_a_module_is_told_with_the_command_that_installs_it() -> None:
    found = {check.name: check for check in machine.extras(lambda module: module not in ("pysail", "boto3"))}
    assert (found["extra etl"].status, found["extra etl"].hint) == ("warn", 'pip install "seatrial[etl]"')
    assert "pysail" in found["extra etl"].text
    assert found["extra sagemaker"].status == "info"
    assert found["extra train"].status == "ok"


def test_extras_and_their_modules_are_those_of_the_project() -> None:
    declared = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    packages = {extra: {re.split(r"[\[<>=!]", each)[0].strip() for each in wanted if not each.startswith("seatrial[")} for extra, wanted in declared.items()}
    for extra, modules in machine.EXTRAS.items():
        assert packages[extra] == {module.replace(".", "-") for module in modules}, extra
    assert set(machine.EXTRAS) == set(declared) - {"local", "examples", "test", "lint", "dev"}


def test_java_is_read_without_starting_it(tmp_path: Path) -> None:
    assert machine.java({"PATH": str(tmp_path)}).status == "info"
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    (tmp_path / "release").write_text('IMPLEMENTOR="x"\nJAVA_VERSION="17.0.21"\n')
    assert machine.java({"JAVA_HOME": str(tmp_path)}).text.startswith("Java 17.0.21 at ")
    (tmp_path / "release").write_text('JAVA_VERSION="11.0.2"\n')
    assert machine.java({"PATH": str(program.parent)}).status == "warn"


def test_a_taken_port_names_who_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        assert machine.port(number).status == "warn"
        if sys.platform == "linux":
            assert f"pid {os.getpid()}" in machine.port(number).text
        assert machine.port(number, served=f"http://127.0.0.1:{number}").status == "ok"
    assert machine.port(number).status == "ok"


def test_variables_are_named_and_never_shown(tmp_path: Path) -> None:
    check = machine.variables({"RAY_AUTH_TOKEN": "s3cret-value", "MLFLOW_TRACKING_URI": "http://user:pass@host"})
    assert check.text == "set: MLFLOW_TRACKING_URI, RAY_AUTH_TOKEN"
    assert machine.variables({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "none")}).status == "warn"


# The home


def test_little_room_and_a_folder_of_others_are_told(home: Home) -> None:
    assert [home_checks.disk(home, free).status for free in (2**40, 2**31, 2**20)] == ["ok", "warn", "fail"]
    assert "not made yet" in home_checks.disk(Home(home.root / "deeper")).text
    if os.getuid() != 0:
        home.root.chmod(0o500)
        assert home_checks.disk(home).status == "fail"
        home.root.chmod(0o700)


def test_a_damaged_database_is_a_failure_and_a_good_one_is_not(home: Home) -> None:
    assert list(home_checks.databases(home)) == []
    with sqlite3.connect(home.root / "mlflow.db") as database:
        database.execute("CREATE TABLE runs (id TEXT)")
    database.close()
    (home.root / "state.db").write_bytes(b"this is no database, whatever its name says" * 50)
    found = {check.name: check for check in home_checks.databases(home)}
    assert found["mlflow.db"].text == "readable, 1 tables"
    assert found["state.db"].passed is False
    assert found["state.db"].hint


def test_a_service_whose_process_is_gone_is_told_and_its_record_stays(home: Home) -> None:
    assert home_checks.service(home).text == "none is up"
    home.service.write_text(json.dumps({"pid": 2**22 - 1, "started": 1.0, "url": "http://127.0.0.1:1", "model": "m"}))
    assert home_checks.service(home).status == "warn"
    home.service.write_text(json.dumps(processes.identify(os.getpid()) | {"url": "http://127.0.0.1:1", "model": "m"}))
    assert "does not answer" in home_checks.service(home).text
    assert home.service.exists()


def test_interrupted_runs_and_folders_are_told_and_those_in_work_are_not(home: Home) -> None:
    RunRecord(run="r1", pipeline="p", file="p.yaml", fingerprint="f", created=time.time(), steps={}).save(home)
    halfway = home.datasets / "flights" / "f00d.12ab34cd.tmp"
    halfway.mkdir(parents=True)
    (home.root / "code" / f".abc.{os.getpid()}").mkdir(parents=True)
    assert [check.name for check in home_checks.leftovers(home)] == ["runs", "temporary folders"]
    with (home.runs / "r1" / "lock").open("w") as run_lock, (halfway / ".lock").open("w") as folder_lock:
        fcntl.flock(run_lock, fcntl.LOCK_EX)
        fcntl.flock(folder_lock, fcntl.LOCK_EX)
        assert list(home_checks.leftovers(home)) == []
    (home.root / "code" / f".def.{2**22 - 1}").mkdir()
    assert "2 left behind" in list(home_checks.leftovers(home))[1].text


def test_the_command_looks_and_changes_nothing(tmp_path: Path) -> None:
    answer = _seatrial("doctor", "--output", "json", cwd=tmp_path, env={"RAY_AUTH_TOKEN": "s3cret-value"})
    assert answer.returncode == 0, answer.stdout + answer.stderr
    found = {each["name"]: each for each in json.loads(answer.stdout)}
    assert {"python", "extra train", "java", "memory", "home", "service", "port 8000", "port 8265", "tools", "variables"} <= set(found)
    assert found["python"]["passed"] is True
    assert "RAY_AUTH_TOKEN" in found["variables"]["description"]
    assert "s3cret-value" not in answer.stdout
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".seatrial").mkdir()
    (tmp_path / ".seatrial" / "state.db").write_bytes(b"damaged" * 500)
    assert _seatrial("doctor", cwd=tmp_path).returncode == 1


# A job


class _Target:
    """Stands where a target's backend stands: says what a job's target would say."""

    def __init__(self, state: JobState, *texts: str, broken: Exception | None = None) -> None:
        self._state, self._texts, self._broken = state, texts, broken

    def status(self, handle: str) -> JobState:
        if self._broken:
            raise self._broken
        return self._state

    def explain(self, handle: str) -> list[Cause]:
        return match(self._texts)


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A target whose answer a test chooses: ``target.says = _Target(...)``; its handles begin with ``scripted://``."""
    chosen = SimpleNamespace(says=_Target(JobState.RUNNING))
    monkeypatch.setitem(sys.modules, "doctor_test_target", SimpleNamespace(create=lambda home, targets: chosen.says))
    monkeypatch.setitem(backend.BACKENDS, "scripted", "doctor_test_target:create")
    monkeypatch.setitem(backend.SCHEMES, "scripted://", "scripted")
    return chosen


def test_a_job_that_cannot_be_placed_is_explained(home: Home, target: SimpleNamespace) -> None:
    target.says = _Target(JobState.QUEUED, "FailedScheduling: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu.")
    (found,) = doctor.examine(home, "scripted://a/b")
    assert (found.state, found.well) == (JobState.QUEUED, False)
    assert found.causes[0].what == "no node can take a pod: needs nvidia.com/gpu, none of the 3 nodes has one free"
    assert found.causes[0].evidence.startswith("FailedScheduling")


@pytest.mark.parametrize("state", JobState)
def test_a_job_without_a_cause_says_what_it_waits_for(home: Home, target: SimpleNamespace, state: JobState) -> None:
    target.says = _Target(state, "Scheduled: Successfully assigned seatrial/head to node-1")
    (found,) = doctor.examine(home, "scripted://a/b")
    assert found.causes == ()
    assert found.waiting
    assert "HANDLE" not in found.hint
    assert found.well == (state not in (JobState.FAILED, JobState.UNKNOWN))


def test_what_a_successful_job_overcame_is_not_told(home: Home, target: SimpleNamespace) -> None:
    target.says = _Target(JobState.SUCCEEDED, "OOMKilled: container ray-worker ended with exit code 137")
    assert doctor.examine(home, "scripted://a/b")[0].causes == ()


def test_a_target_that_does_not_answer_is_a_cause_and_a_wrong_handle_is_an_error(home: Home, target: SimpleNamespace) -> None:
    target.says = _Target(JobState.RUNNING, broken=SetupError("the cluster says: 401 Unauthorized", where="kind", hint="sign in"))
    (found,) = doctor.examine(home, "scripted://a/b")
    assert [(cause.name, cause.hint) for cause in found.causes] == [("authentication", "sign in")]
    target.says = _Target(JobState.RUNNING, broken=SetupError("no route to host"))
    assert doctor.examine(home, "scripted://a/b")[0].causes[0].name == "unreachable"
    target.says = _Target(JobState.RUNNING, broken=RequestError("not a handle of this target"))
    with pytest.raises(RequestError):
        doctor.examine(home, "scripted://a/b")
    with pytest.raises(RequestError, match="not a handle"):
        doctor.examine(home, "moon://a/b")


def test_of_a_run_every_step_that_has_not_succeeded_is_examined(home: Home, target: SimpleNamespace) -> None:
    target.says = _Target(JobState.FAILED, "OOMKilled: container ray-worker ended with exit code 137")
    steps = {
        "features": StepRecord(kind="etl", state=JobState.SUCCEEDED, handle="scripted://r1/features"),
        "train": StepRecord(kind="train", state=JobState.FAILED, handle="scripted://r1/train"),
        "judge": StepRecord(kind="evaluate"),
    }
    record = RunRecord(run="r1", pipeline="p", file="p.yaml", fingerprint="f", created=1.0, steps=steps)
    record.save(home)
    train, judge = doctor.examine(home, "r1")
    assert (train.step, train.causes[0].name, train.well) == ("train", "out-of-memory", False)
    assert (judge.step, judge.causes) == ("judge", ())
    assert "earlier step" in judge.waiting
    record.steps = {"features": steps["features"]}
    record.save(home)
    assert doctor.examine(home, "r1") == []
    with pytest.raises(RequestError, match="no run 'r9'"):
        doctor.examine(home, "r9")


def test_a_failed_local_step_is_explained_by_the_command(tmp_path: Path) -> None:
    folder = tmp_path / ".seatrial" / "runs" / "r1" / "train"
    folder.mkdir(parents=True)
    (folder / "process.json").write_text(json.dumps({"pid": 2**22 - 1, "started": 1.0}))
    (folder / "error.json").write_text(json.dumps({"what": "no column 'late'", "where": "dataset", "hint": "check the labels"}, indent=1))
    (folder / "log.txt").write_text("starting\nModuleNotFoundError: No module named 'flights'\n")
    answer = _seatrial("doctor", "local://r1/train", "--output", "json", cwd=tmp_path)
    assert answer.returncode == 1, answer.stderr
    (found,) = json.loads(answer.stdout)
    assert (found["state"], found["passed"]) == ("Failed", False)
    assert (found["causes"][0]["name"], found["causes"][0]["help"]) == ("step-failed", "check the labels")
    assert found["causes"][1]["name"] == "module-missing"
    text = _seatrial("doctor", "local://r1/train", cwd=tmp_path)
    assert "no column 'late'" in text.stdout
    assert "next: check the labels" in text.stdout
    wrong = _seatrial("doctor", "local://nowhere", cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")


# The guide


def test_the_guide_lists_every_cause() -> None:
    """Set SEATRIAL_ACCEPT_GOLDEN=1 to write the table anew."""
    rows = "".join(f"| `{row.name}` | {_cell(row.what)} | {_cell(row.hint)} |\n" for row in TABLE)
    table = f"\n| cause | what it means | what to do |\n|---|---|---|\n{rows}\n"
    before, _, rest = GUIDE.read_text().partition("-->\n")
    listed, _, after = rest.partition("<!-- end of causes -->")
    if ACCEPT:
        GUIDE.write_text(f"{before}-->\n{table}<!-- end of causes -->{after}")
    assert ACCEPT or listed == table


ACCEPT = bool(os.environ.get("SEATRIAL_ACCEPT_GOLDEN"))


def _cell(text: str) -> str:
    """Placeholders as words: what they hold differs from case to case."""
    return " ".join(re.sub(r"\{\w+(?:!r)?\}", "…", text).replace("……", "…").replace("|", r"\|").split())

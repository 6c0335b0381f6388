"""submit, status, logs, stop and jobs as a user's shell sees them: on this machine with real steps, and on a scripted target."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.control.cli import main
from tests.jobs.control.scripted_target import CLIENT, register

Command = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).parents[3]
FILE = """
apiVersion: seatrial/v1
name: tiny
steps:
  prepare: {kind: etl, entry: "work:build", inputs: {raw: raw}, outputs: {rows: dataset}}
"""
# A step that ends at once, in one sentence; and one that takes its time.
WORK = """
import time
from jobs.contracts.errors import InputError

def build(*_):
    print("the step has begun", flush=True)
    raise InputError("no rows", hint="bring some")

def slow(*_):
    print("the step has begun", flush=True)
    time.sleep(120)
"""
# Twenty processes that share their imports and then submit at the same moment.
TWENTY = """
import os, sys
from jobs.control.cli import main
import jobs.control.submission, jobs.control.local_backend
children = []
for number in range(20):
    children.append(os.fork())
    if not children[-1]:
        os._exit(main(["submit", "job.yaml", "--output", "json"]))
sys.exit(max(os.waitpid(child, 0)[1] for child in children) > 0)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "job.yaml").write_text(FILE)
    (tmp_path / "work.py").write_text(WORK)
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "points.csv").write_text("a,b\n1,2\n")
    return tmp_path


def _start(place: Path, *arguments: str, script: str = CLIENT, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
    return subprocess.Popen([sys.executable, "-c", script, *arguments], cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _seatrial(place: Path, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    child = _start(place, *arguments, **more)
    output, errors = child.communicate(timeout=100)
    assert "Traceback" not in errors
    return subprocess.CompletedProcess(child.args, child.returncode, output, errors)


def _json(place: Path, *arguments: str) -> Any:
    return _parsed(_seatrial(place, *arguments, "--output", "json"))


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """The same command line inside this process: for what needs no process of its own."""
    register(monkeypatch)
    monkeypatch.chdir(place)
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = main(list(arguments))
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    yield run
    signal.signal(signal.SIGTERM, before)


def _parsed(answer: subprocess.CompletedProcess[str]) -> Any:
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def _scripted(place: Path) -> Path:
    folder = place / ".seatrial" / "scripted"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_a_submitted_step_outlives_its_client_and_every_later_command_finds_it(place: Path) -> None:
    assert _json(place, "jobs") == []
    submitted = _seatrial(place, "submit", "job.yaml")
    assert submitted.returncode == 0, submitted.stderr
    handle = next(line.split()[1] for line in submitted.stdout.splitlines() if line.startswith("handle"))
    assert [line.split()[:3] for line in submitted.stdout.splitlines()[-3:]] == [["seatrial", verb, handle] for verb in ("status", "logs", "stop")]
    waited = _seatrial(place, "status", handle, "--wait")
    assert waited.returncode == 1
    assert "no rows" in waited.stderr
    assert "bring some" in waited.stderr
    assert "the step has begun" in _seatrial(place, "logs", handle, "--follow").stdout
    (job,) = _json(place, "jobs")
    assert (job["handle"], job["target"], job["pipeline"], job["step"], job["state"]) == (handle, "local", "tiny", "prepare", "Failed")
    run = _json(place, "status", job["run"])
    assert (run["state"], run["steps"]["prepare"]["message"], run["driven"]) == ("Failed", "no rows", False)
    assert _seatrial(place, "stop", handle).stdout.split() == ["Failed", handle]


def test_kill_9_of_a_client_that_waits_loses_nothing(place: Path) -> None:
    client = _start(place, "submit", "job.yaml", "--set", "steps.prepare.entry=work:slow", "--wait")
    assert client.stdout is not None
    handle = next(line.split()[1] for line in client.stdout if line.startswith("handle"))
    os.kill(client.pid, signal.SIGKILL)
    client.communicate(timeout=20)
    again = _seatrial(place, "status", handle, "--wait", "--timeout", "0.2")
    assert again.returncode == 1
    assert "still Running after 0.2 s; the job goes on" in again.stderr
    stopped = _seatrial(place, "stop", _json(place, "jobs")[0]["run"])
    assert stopped.returncode == 0
    assert stopped.stdout.split()[0] == "Stopped"
    assert _seatrial(place, "stop", handle).stdout.split() == ["Stopped", handle]
    assert _seatrial(place, "status", handle, "--wait").returncode == 1
    assert [job["state"] for job in _json(place, "jobs")] == ["Stopped"]


def test_ctrl_c_while_waiting_leaves_the_job_alone(place: Path) -> None:
    client = _start(place, "submit", "job.yaml", "--on", "scripted", "--wait")
    assert client.stderr is not None
    assert "Running" in client.stderr.readline()
    client.send_signal(signal.SIGINT)
    _, errors = client.communicate(timeout=20)
    assert client.returncode == 130
    assert "the job goes on" in errors
    assert [job["state"] for job in _json(place, "jobs", "--refresh")] == ["Running"]


def test_twenty_submissions_at_once_lose_no_record(place: Path) -> None:
    answer = _seatrial(place, script=TWENTY)
    assert answer.returncode == 0, answer.stderr
    text, decoder, handles = answer.stdout.strip(), json.JSONDecoder(), set()
    while text:
        one, end = decoder.raw_decode(text)
        handles.add(one["handle"])
        text = text[end:].strip()
    assert len(handles) == 20
    assert {job["handle"] for job in _json(place, "jobs")} == handles
    deadline = time.monotonic() + 60
    while (states := {job["state"] for job in _json(place, "jobs")}) != {"Failed"} and time.monotonic() < deadline:
        time.sleep(0.2)
    assert states == {"Failed"}


def test_success_is_exit_code_0_and_names_the_outputs(place: Path, here: Command) -> None:
    submitted = _parsed(here("submit", "job.yaml", "--on", "scripted", "--output", "json"))
    product = Path(submitted["outputs"]["rows"])
    product.mkdir(parents=True)
    outputs = {"outputs": {"rows": {"uri": "/in/the/pod", "fingerprint": "f"}}}
    (product.parent / "outputs.json").write_text(json.dumps(outputs))
    (_scripted(place) / f"{submitted['run']}-prepare-1.state").write_text("Succeeded")
    waited = here("status", submitted["handle"], "--wait")
    assert waited.returncode == 0, waited.stderr
    assert f"output rows  {product}" in waited.stdout
    run = _parsed(here("status", submitted["run"], "--wait", "--output", "json"))
    assert run["steps"]["prepare"]["outputs"]["rows"]["uri"] == str(product)
    again = _parsed(here("submit", "job.yaml", "--on", "scripted", "--run", submitted["run"], "--wait", "--output", "json"))
    assert (again["sent"], again["state"]) == (False, "Succeeded")


def test_what_a_target_out_of_reach_was_known_for_is_still_told(place: Path, here: Command) -> None:
    ended, running = (_parsed(here("submit", "job.yaml", "--on", "scripted", "--output", "json")) for _ in range(2))
    (_scripted(place) / f"{ended['run']}-prepare-1.state").write_text("Stopped")
    assert here("logs", running["handle"]).stdout == "first\nsecond\n"
    assert [job["state"] for job in _parsed(here("jobs", "--refresh", "--output", "json"))] == ["Running", "Stopped"]
    (_scripted(place) / "unreachable").write_text("")
    assert [(job["state"], bool(job["unreached"])) for job in _parsed(here("jobs", "--refresh", "--output", "json"))] == [("Running", True), ("Stopped", False)]
    table = here("jobs", "--refresh")
    assert "Running?" in table.stdout
    assert "connection refused" in table.stderr
    assert "--refresh" in here("jobs").stderr
    kept = here("logs", ended["handle"])
    assert (kept.returncode, kept.stdout) == (0, "first\nsecond\n")
    assert "kept here" in kept.stderr
    assert here("logs", running["handle"]).returncode == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["submit", "nowhere.yaml"], "no such file"),
        (["submit", "job.yaml", "--on", "moon"], "known targets: local"),
        (["submit", "job.yaml", "--input", "raw"], "not NAME=URI"),
        (["submit", "job.yaml", "--input", "row=/x"], "its inputs: raw"),
        (["submit", "job.yaml", "--input", "raw=/x/y"], "no such file or folder"),
        (["submit", "job.yaml", "--step", "fit"], "its steps: prepare"),
        (["submit", "job.yaml", "--set", "steps.prepare.retrys=1"], "did you mean 'retries'"),
        (["status", "flights-2026"], "no run 'flights-2026'"),
        (["status", "local://a/b", "--timeout", "3"], "--timeout goes with --wait"),
        (["status", "moon://a"], "handles begin with local://"),
        (["stop", "moon://a"], "handles begin with local://"),
        (["logs", "local://a"], "not a handle of the local target"),
    ],
)
def test_a_wrong_request_ends_with_exit_code_2_and_one_message(here: Command, arguments: list[str], said: str) -> None:
    answer = here(*arguments)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert said in answer.stderr


def test_a_damaged_list_says_what_to_do_and_listing_starts_light(place: Path, here: Command) -> None:
    listed = _seatrial(place, "jobs", script="from jobs.control.cli import entry; entry()", env={"PYTHONPROFILEIMPORTTIME": "1"})
    imported = {line.rsplit("|", 1)[-1].strip() for line in listed.stderr.splitlines()}
    assert "nothing was submitted" in listed.stdout
    assert not imported & {"pydantic", "jobs.control.spec", "jobs.control.runs", "ray", "kubernetes"}
    assert not (place / ".seatrial").exists()
    (place / ".seatrial").mkdir()
    (place / ".seatrial" / "state.db").write_text("not a database, not at all" * 100)
    for command in (["jobs"], ["submit", "job.yaml", "--on", "scripted"]):
        answer = here(*command)
        assert answer.returncode == 1
        assert "damaged" in answer.stderr
        assert "move it away" in answer.stderr
    assert not list(_scripted(place).glob("*.json"))  # what cannot be written down is not sent

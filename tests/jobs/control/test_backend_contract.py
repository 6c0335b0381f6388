"""What every target keeps, run over every target. Only the outermost edge is played.

local and minimal run real processes, ray is a real cluster, kubernetes an API server in this process whose nodes the test plays,
sagemaker and azureml are the practice service.
A new backend adds one row to ``RIGS``.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from jobs.contracts.errors import InputError, RequestError
from jobs.contracts.job import Job
from jobs.contracts.states import JobState
from jobs.control import backend as table
from jobs.control.backend import Backend, Cause, backend_of, open_backend
from jobs.control.home import Home
from jobs.control.plan import Plan, Source
from jobs.control.spec import RayTarget, Step, Targets
from tests.cluster.kube_server import serving, write_kubeconfig
from tests.cluster.node import Node, with_command
from tests.ray_cluster import RayCluster

STEP = Step(kind="evaluate", inputs={"dataset": "data"}, outputs={"report": "report"}, env={"B": "2", "A": "1"}, retries=1)
SAYS, FAILS, STAYS = "echo hello from the step", "echo something broke; exit 3", "echo up; sleep 120"


@dataclass
class Rig:
    """One target under test. ``play`` makes its nodes bring a submitted job into a state, where a test has to play them."""

    target: str
    home: Home
    targets: Targets
    command: Callable[[Plan, str], Plan]  # a plan that runs a shell command instead of the step's module
    play: Callable[[Plan, JobState], None] = field(default=lambda plan, state: None)
    dataset: str = "s3://store/dataset"  # a location that the target can read
    submitted: list[tuple[Backend, str]] = field(default_factory=list)

    def open(self) -> Backend:
        return open_backend(self.target, self.home, self.targets)

    def planned(self, run: str, attempt: int = 1) -> Plan:
        job = Job(pipeline="contract", run=run, step="one", kind="evaluate", inputs=("dataset",), outputs=("report",), fingerprint="f" * 64)
        code = Source(str(self.home.root / "code" / "c"), "c" * 64, 10, 1)
        return self.open().plan(STEP, job, {"dataset": Source(self.dataset, "d" * 64)}, code, {"SEATRIAL_MODEL_NAME": "m"}, attempt)

    def submit(self, command: str, run: str, attempt: int = 1) -> Plan:
        backend, plan = self.open(), self.command(self.planned(run, attempt), command)
        backend.stage(plan)
        handle = backend.submit(plan)
        self.submitted.append((backend, handle))
        return replace(plan, handle=handle)

    def reach(self, plan: Plan, state: JobState) -> None:
        self.play(plan, state)
        backend, deadline = backend_of(plan.handle, self.home), time.monotonic() + 60
        while (seen := backend.status(plan.handle)) != state and time.monotonic() < deadline:
            time.sleep(0.05)
        assert seen == state


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / ".seatrial")
    home.create()
    (home.root / "code" / "c").mkdir(parents=True)
    (home.root / "code" / "c" / "work.py").write_text("X = 1\n")
    return home


def _local(home: Home, request: pytest.FixtureRequest) -> Rig:
    def command(plan: Plan, text: str) -> Plan:
        # As every step does: the last file is written when the work is done.
        done = "code or open(os.path.join(os.environ['SEATRIAL_STEP_DIR'], 'outputs.json'), 'w').write('{}')"
        program = f"import os, subprocess, sys; code = subprocess.call({text!r}, shell=True); {done}; sys.exit(code)"
        return _with_body(plan, "process", {"argv": ["python", "-c", program]})

    return Rig("local", home, Targets(), command)


def _ray(home: Home, request: pytest.FixtureRequest) -> Rig:
    cluster: RayCluster = request.getfixturevalue("ray_cluster")
    for name, value in cluster.environment.items():
        request.getfixturevalue("monkeypatch").setenv(name, value)
    return Rig("ray", home, Targets(ray=RayTarget(address=cluster.address)), lambda plan, text: _with_body(plan, "POST /api/jobs/", {"entrypoint": text}))


def _kubernetes(home: Home, request: pytest.FixtureRequest) -> Rig:
    stack = ExitStack()
    request.addfinalizer(stack.close)
    (volume := home.root.parent / "volume").mkdir()
    server, address = stack.enter_context(serving(volume))
    request.getfixturevalue("monkeypatch").setenv("KUBECONFIG", str(write_kubeconfig(home.root.parent / "kubeconfig", address)))
    node = stack.enter_context(Node(server))
    return Rig("kubernetes", home, Targets(), with_command, lambda plan, state: node.take(plan.handle))


def _sagemaker(home: Home, request: pytest.FixtureRequest) -> Rig:
    request.getfixturevalue("practice")

    def command(plan: Plan, text: str) -> Plan:
        image = next(each.body["AppSpecification"]["ImageUri"] for each in plan.requests if each.kind == "CreateProcessingJob")
        return _with_body(
            plan, "CreateProcessingJob", {"ProcessingInputs": [], "AppSpecification": {"ImageUri": image, "ContainerEntrypoint": ["sh", "-c", text]}}
        )

    return Rig("sagemaker", home, Targets(), command)


def _azureml(home: Home, request: pytest.FixtureRequest) -> Rig:
    request.getfixturevalue("practice")

    def command(plan: Plan, text: str) -> Plan:
        document = next(each.body for each in plan.requests if each.kind == "command job")
        inputs = {name: value for name, value in document["inputs"].items() if name != "dataset"}
        return _with_body(plan, "command job", {"command": text, "inputs": inputs})

    return Rig("azureml", home, Targets(), command, dataset="azureml://datastores/workspaceblobstore/paths/dataset")


def _minimal(home: Home, request: pytest.FixtureRequest) -> Rig:
    patch = request.getfixturevalue("monkeypatch")
    patch.setitem(table.BACKENDS, "minimal", "tests.jobs.control.minimal_backend:create")
    patch.setitem(table.SCHEMES, "minimal://", "minimal")
    return Rig("minimal", home, Targets(), lambda plan, text: _with_body(plan, "shell", {"command": text}))


def _with_body(plan: Plan, kind: str, change: Mapping[str, Any]) -> Plan:
    requests = tuple(replace(each, body={**each.body, **change}) if each.kind == kind else each for each in plan.requests)
    assert requests != plan.requests
    return replace(plan, requests=requests)


RIGS: dict[str, Callable[[Home, pytest.FixtureRequest], Rig]] = {
    "local": _local,
    "ray": _ray,
    "kubernetes": _kubernetes,
    "sagemaker": _sagemaker,
    "azureml": _azureml,
    "minimal": _minimal,
}


@pytest.fixture(params=list(RIGS))
def rig(request: pytest.FixtureRequest, home: Home) -> Iterator[Rig]:
    rig = RIGS[request.param](home, request)
    yield rig
    for backend, handle in rig.submitted:
        backend.stop(handle)
        backend.status(handle)  # here the starter lives on: it must see its child's end, or Python warns of it


@pytest.fixture
def run(request: pytest.FixtureRequest) -> str:
    """A run of this test's own: a target outlives a test."""
    return f"contract-{abs(hash(request.node.name + str(time.time_ns()))) % 10**8}"


def test_every_target_has_a_rig() -> None:
    assert set(table.BACKENDS) <= set(RIGS)


def test_a_plan_is_pure(rig: Rig, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("planning opened a connection")

    before = sorted(rig.home.root.rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        first, second = rig.planned(run), rig.planned(run)
    assert (str(first), first) == (str(second), second)
    assert sorted(rig.home.root.rglob("*")) == before


def test_a_plan_says_all_that_the_step_needs(rig: Rig, run: str) -> None:
    plan = rig.planned(run)
    text = str(plan)
    assert (plan.target, plan.run, plan.step) == (rig.target, run, "one")
    assert set(plan.outputs) == {"report"}
    assert all(word in text for word in (rig.dataset, "SEATRIAL_MODEL_NAME", run))


def test_a_job_runs_to_its_end(rig: Rig, run: str) -> None:
    plan = rig.submit(SAYS, run)
    rig.reach(plan, JobState.SUCCEEDED)
    assert "hello from the step\n" in list(rig.open().logs(plan.handle))


def test_a_job_that_fails_is_failed_and_explained_in_words(rig: Rig, run: str) -> None:
    plan = rig.submit(FAILS, run)
    rig.reach(plan, JobState.FAILED)
    assert "something broke\n" in list(rig.open().logs(plan.handle))
    assert all(isinstance(cause, Cause) and cause.what and cause.hint for cause in rig.open().explain(plan.handle))


def test_submitting_twice_is_submitting_once(rig: Rig, run: str) -> None:
    first, second = rig.submit(STAYS, run), rig.submit(STAYS, run)
    assert first.handle == second.handle
    rig.reach(first, JobState.RUNNING)
    assert list(rig.open().handles()).count(first.handle) == 1
    rig.open().stop(first.handle)
    assert list(rig.open().logs(first.handle)).count("up\n") <= 1


def test_stop_may_be_repeated_and_is_not_success(rig: Rig, run: str) -> None:
    plan = rig.submit(STAYS, run)
    rig.reach(plan, JobState.RUNNING)
    rig.open().stop(plan.handle)
    rig.reach(plan, JobState.STOPPED)
    rig.open().stop(plan.handle)
    assert rig.open().status(plan.handle) == JobState.STOPPED


def test_a_finished_job_is_not_changed_by_stop(rig: Rig, run: str) -> None:
    plan = rig.submit(SAYS, run)
    rig.reach(plan, JobState.SUCCEEDED)
    rig.open().stop(plan.handle)
    assert rig.open().status(plan.handle) == JobState.SUCCEEDED


def test_following_a_log_ends_with_the_job(rig: Rig, run: str) -> None:
    plan = rig.submit("echo first; sleep 1; echo last", run)
    rig.play(plan, JobState.SUCCEEDED)
    assert [line for line in rig.open().logs(plan.handle, follow=True) if line in ("first\n", "last\n")] == ["first\n", "last\n"]
    assert rig.open().status(plan.handle) == JobState.SUCCEEDED


def test_a_handle_is_all_that_another_process_needs(rig: Rig, run: str) -> None:
    plan = rig.submit(STAYS, run)
    rig.reach(plan, JobState.RUNNING)
    other = backend_of(plan.handle, rig.home)
    assert other.status(plan.handle) == JobState.RUNNING
    other.stop(plan.handle)
    rig.reach(plan, JobState.STOPPED)


def test_a_later_attempt_runs_after_a_failure(rig: Rig, run: str) -> None:
    failed = rig.submit(FAILS, run)
    rig.reach(failed, JobState.FAILED)
    again = rig.submit(SAYS, run, attempt=2)
    rig.reach(again, JobState.SUCCEEDED)


def test_a_job_that_never_was_is_unknown(rig: Rig, run: str) -> None:
    handle = rig.planned(run).handle
    assert rig.open().status(handle) == JobState.UNKNOWN
    assert list(rig.open().logs(handle)) == []
    rig.open().stop(handle)


def test_what_is_no_handle_is_refused(rig: Rig) -> None:
    with pytest.raises(RequestError, match="not a handle"):
        rig.open().status("elsewhere://x")


def test_a_file_that_is_not_there_is_an_input_error(rig: Rig, tmp_path: Path) -> None:
    assert not rig.open().exists(str(tmp_path / "nothing"))
    with pytest.raises(InputError):
        rig.open().read(str(tmp_path / "nothing"))

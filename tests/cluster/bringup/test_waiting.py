"""Waiting watches: it ends with the change that ends it, explains what sticks, and bears watches that break."""

from __future__ import annotations

import json
import time

import pytest

from cluster.bringup.kubectl import Events, Kubectl
from cluster.bringup.runner import Runner
from cluster.bringup.waiting import deployment, ray_service_missing, wait
from jobs.contracts.errors import RunError
from tests.cluster.bringup.conftest import Machine

LACKING = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. preemption: none"


@pytest.fixture
def kubectl(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    for name, value in machine.environment.items():
        monkeypatch.setenv(name, value)
    body = {"metadata": {"name": "web", "namespace": "seatrial", "generation": 1}, "spec": {"replicas": 1}, "status": {}}
    machine.change(clusters=["seatrial"], running=True, objects={"deployments/seatrial/web": {"release": "", "body": body}})
    return Kubectl(Runner(), "kind-seatrial", "seatrial")


def _stick(machine: Machine, *events: tuple[str, str, str]) -> None:
    pod = {"metadata": {"name": "web-1", "namespace": "seatrial"}, "spec": {}, "status": {"phase": "Pending"}}
    objects = {**machine.world["objects"], "pods/seatrial/web-1": {"release": "", "body": pod}}
    for number, (about, reason, message) in enumerate(events):
        body = {
            "metadata": {"name": f"e{number}", "namespace": "seatrial"},
            "type": "Warning",
            "reason": reason,
            "message": message,
            "involvedObject": {"kind": "Pod", "name": about},
        }
        objects[f"events/seatrial/e{number}"] = {"release": "", "body": body}
    machine.change(stuck=True, objects=objects)


def test_it_ends_when_it_is_ready(kubectl: Kubectl) -> None:
    said: list[str] = []
    wait(kubectl, {"deployments": deployment("web")}, 20, said.append)
    # What came while it was busy is taken at once, so a slow machine passes over the second.
    assert said[0] == "the Deployment web is not there yet"
    assert said[1:] in ([], ["web: 0 of 1 pods ready"])


def test_what_sticks_is_explained_while_it_waits_and_at_the_end(kubectl: Kubectl, machine: Machine) -> None:
    _stick(machine, ("web-1", "FailedScheduling", LACKING))
    said: list[str] = []
    with pytest.raises(RunError, match=r"needs nvidia.com/gpu") as caught:
        wait(kubectl, {"deployments": deployment("web")}, 0.7, said.append)
    assert "unschedulable: no node can take a pod" in said[-1]
    assert LACKING in caught.value.what
    assert "run the same command again" in caught.value.hint


def test_events_of_pods_that_are_gone_explain_nothing(kubectl: Kubectl, machine: Machine) -> None:
    _stick(machine, ("web-0", "FailedScheduling", LACKING))
    said: list[str] = []
    with pytest.raises(RunError):
        wait(kubectl, {"deployments": deployment("web")}, 0.5, said.append)
    assert "unschedulable" not in "".join(said)


def test_a_watch_that_the_server_ends_is_opened_again(kubectl: Kubectl, machine: Machine) -> None:
    machine.change(short_watches=3)
    wait(kubectl, {"deployments": deployment("web")}, 20, lambda _: None)
    assert len([call for call in machine.calls() if "get deployments --watch" in call]) == 2


def test_a_watch_that_is_refused_ends_the_wait(kubectl: Kubectl, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.bringup.waiting._REOPEN", 0.01)
    machine.trouble("get events --watch", 'Error from server (Forbidden): events is forbidden: User "me" cannot list resource "events"', times=99)
    machine.change(stuck=True)
    with pytest.raises(RunError, match="Forbidden"):
        wait(kubectl, {"deployments": deployment("web")}, 20, lambda _: None)


def test_no_program_outlives_the_wait(kubectl: Kubectl, machine: Machine) -> None:
    import psutil

    _stick(machine)
    with pytest.raises(RunError):
        wait(kubectl, {"deployments": deployment("web")}, 0.3, lambda _: None)
    deadline = time.monotonic() + 5
    while left := [child for child in psutil.Process().children() if str(machine.folder) in " ".join(child.cmdline())]:
        assert time.monotonic() < deadline, left


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_events_may_be_cut_anywhere(size: int) -> None:
    wanted = [("ADDED", {"a": '{}"é'}), ("DELETED", {"b": [1, {"c": None}]})]
    text = "\n".join(json.dumps({"type": change, "object": body}, indent=4, ensure_ascii=False) for change, body in wanted)
    events = Events()
    found = [event for start in range(0, len(text), size) for event in events.feed(text[start : start + size])]
    assert found == wanted


def test_a_service_is_ready_when_somebody_answers() -> None:
    body = {"metadata": {"name": "seatrial", "generation": 2}, "status": {"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True"}]}}
    assert ray_service_missing(body) == ""
    assert ray_service_missing({**body, "status": {**body["status"], "observedGeneration": 1}}), "an upgrade that has not been seen yet"
    deploying = {"applicationStatuses": {"flights": {"status": "DEPLOY_FAILED"}}}
    assert "application deploy_failed" in ray_service_missing({**body, "status": {"activeServiceStatus": deploying}})

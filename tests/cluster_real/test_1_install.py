"""From an empty namespace to a sandbox that is live and waits for its first champion."""

from __future__ import annotations

import json

from tests.cluster_real.sandbox import Sandbox, get
from tests.pod_security import violations


def test_up_ends_with_a_cluster_that_works(sandbox: Sandbox) -> None:
    answer = sandbox.up()
    assert answer.returncode == 0, answer.stderr
    answer = sandbox.run("cluster", "status", *sandbox.cluster, "--output", "json")
    assert answer.returncode == 0, answer.stdout


def test_up_again_changes_nothing(sandbox: Sandbox) -> None:
    before = sandbox.kubectl.ask("get", "secrets", "--selector=owner=helm", "--output=name")
    assert sandbox.up().returncode == 0
    assert sandbox.kubectl.ask("get", "secrets", "--selector=owner=helm", "--output=name") == before


def test_every_pod_runs_as_nobody(sandbox: Sandbox) -> None:
    pods = sandbox.kubectl.list("pods")
    assert pods
    assert {pod["metadata"]["name"]: list(violations(pod["spec"])) for pod in pods} == {pod["metadata"]["name"]: [] for pod in pods}


def test_the_charts_own_test(sandbox: Sandbox) -> None:
    sandbox.kubectl.runner.ask("helm", "test", "seatrial", "--kube-context", sandbox.kubectl.context, "--namespace", sandbox.namespace, "--timeout", "6m")


def test_the_service_is_live_and_has_no_champion(sandbox: Sandbox) -> None:
    with sandbox.forward("seatrial-serve-svc", 8000) as url:
        assert get(f"{url}/v2/health/live")[0] == 200
        assert get(f"{url}/v2/health/ready")[0] == 503


def test_a_plan_is_accepted_by_the_server(sandbox: Sandbox) -> None:
    answer = sandbox.run("plan", "flights.yaml", *sandbox.on_kubernetes(), "--check", "--output", "json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert json.loads(answer.stdout)

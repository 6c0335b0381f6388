"""The tiny pipeline on a Ray cluster that was started separately, and drivers that outlive their client. With the real engines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.conftest import Place, free_port, wait_until
from tests.ray_cluster import RayCluster

FILE = "tiny/pipeline.yaml"


@pytest.fixture
def on_ray(place: Place, ray_cluster: RayCluster, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """The arguments that send a run to the cluster; its token is in the environment."""
    for name, value in ray_cluster.environment.items():
        monkeypatch.setenv(name, value)
    return ("--on", "ray", "--set", f"targets.ray.address={ray_cluster.address}", "--set", f"targets.ray.port={place.port}")


def _record(place: Place) -> dict[str, Any]:
    return place.newest_run() if list(place.folder.glob(".seatrial/runs/*/run.json")) else {"steps": {}}


def _epochs(place: Place) -> list[int]:
    lines = [line for path in place.folder.glob(".seatrial/runs/*/fit/metrics.jsonl") for line in path.read_text().splitlines()]
    return [json.loads(line)["epoch"] for line in lines if '"epoch"' in line]


def test_a_killed_client_loses_nothing_on_ray(place: Place, on_ray: tuple[str, ...]) -> None:
    client = place.start("run", FILE, *on_ray, "--set", "steps.fit.params.epochs_at_most=300")
    wait_until(lambda: client.poll() is not None or len(_epochs(place)) >= 2)
    assert client.poll() is None, client.communicate()
    client.kill()
    client.communicate()
    record = _record(place)
    handle = record["steps"]["fit"]["handle"]
    assert place.json("status", handle)["state"] == "Running"
    place.run("stop", handle)
    wait_until(lambda: place.json("status", handle)["state"] == "Stopped", 60)  # Ray gives a job some seconds to end by itself
    logs = place.run("logs", handle)
    assert (logs.returncode, "jobs.steps.train" in logs.stdout) == (0, True)
    reached = max(_epochs(place))

    finished = place.run("run", "--resume")
    assert finished.returncode == 0, finished.stderr
    assert f"continuing {record['run']}" in finished.stderr
    ended = _record(place)
    assert (ended["run"], ended["target"], ended["state"]) == (record["run"], "ray", "Succeeded")
    assert ended["steps"]["prepare"]["handle"] == record["steps"]["prepare"]["handle"]  # what had finished was not done again
    assert _epochs(place).count(1) == 1  # training went on from its checkpoint
    assert max(_epochs(place)) > reached
    assert ended["steps"]["answer"]["summary"]["max_difference"] <= 1e-5
    jobs = {(job["step"], job["state"]) for job in place.json("jobs", "--refresh")}
    assert {("prepare", "Succeeded"), ("fit", "Stopped"), ("fit", "Succeeded"), ("answer", "Succeeded")} <= jobs
    assert "jobs.steps.train" in (place.folder / ".seatrial" / "runs" / record["run"] / "fit" / "log.txt").read_text()  # outlives the cluster


def test_a_detached_run_needs_no_client(place: Place) -> None:
    started = place.json("run", FILE, "--detach", "--set", f"targets.local.port={place.port}", "--set", "steps.fit.params.epochs_at_most=400")
    wait_until(lambda: _epochs(place))
    assert place.json("status", started["driver"])["state"] == "Running"
    stopped = place.run("stop", started["run"])
    assert stopped.returncode == 0, stopped.stderr
    wait_until(lambda: not place.processes(), 30)
    assert _record(place)["state"] == "Stopped"
    resumed = place.run("run", "--resume", started["run"])
    assert resumed.returncode == 0, resumed.stderr
    assert _epochs(place).count(1) == 1


def test_a_wrong_token_is_told_before_anything_is_sent(place: Place, on_ray: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 40)
    answer = place.run("run", FILE, *on_ray)
    assert answer.returncode == 2
    assert "not the cluster's" in answer.stderr
    assert "RAY_AUTH_TOKEN" in answer.stderr


def test_no_cluster_is_a_clear_error(place: Place) -> None:
    answer = place.run("run", FILE, "--on", "ray", "--set", f"targets.ray.address=http://127.0.0.1:{free_port()}")
    assert answer.returncode == 2
    assert "no Ray cluster answers" in answer.stderr

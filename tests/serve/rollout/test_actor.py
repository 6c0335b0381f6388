"""The coordinator as a Ray actor, in a real Ray: one for all replicas, and it survives the replica that made it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.control.mlflow_client import open_client
from jobs.control.registry_reader import model_tags
from jobs.control.rollout.moves import promote
from jobs.control.rollout.record import Mode, history

pytestmark = pytest.mark.timeout(180)

PROGRAM = """
import json, sys, time
import ray
from serve.rollout.actor import reporter
from tests.serve.rollout.test_limits import figures, tally

uri = sys.argv[1]

@ray.remote(num_cpus=0)
class Replica:
    def __init__(self, name):
        self.name, self.send = name, reporter(uri, "m", "champion")
    def report(self, failing):
        totals = tally(uri, "m", v1=figures(900), v2=figures(120, failing=failing))
        for _ in range(20):  # as the looking thread does: a report that fails is followed by the next
            try:
                return {version: found["requests"] for version, found in self.send(self.name, totals).items()}
            except ray.exceptions.RayError as error:
                time.sleep(0.5)
        raise error

ray.init(address="local", namespace="seatrial", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
first, second = Replica.remote("a"), Replica.remote("b")
seen = [ray.get(first.report.remote(0.0)), ray.get(second.report.remote(0.0))]
ray.kill(first)  # which made the coordinator, so that it ends too
time.sleep(1)
seen.append(ray.get(second.report.remote(0.0)))
third = Replica.remote("c")
seen.append(ray.get(third.report.remote(0.0)))
ray.get(second.report.remote(0.5))
ray.get(third.report.remote(0.5))
print(json.dumps(seen))
"""


def test_one_coordinator_sums_all_replicas_and_outlives_its_maker(tmp_path: Path, repository: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = open_client(uri)
    client.create_registered_model("m")
    for _ in range(2):
        client.create_model_version("m", "file:/x")
    promote(uri, "m", "1")
    promote(uri, "m", "2", Mode.CANARY, percent=10)
    done = subprocess.run([sys.executable, "-c", PROGRAM, uri], cwd=repository, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    one, two = {"1": 900, "2": 120}, {"1": 1_800, "2": 240}
    assert json.loads(done.stdout.splitlines()[-1]) == [one, two, one, two]
    assert [(step.action, step.by) for step in history(model_tags(uri, "m"))][-1] == ("rollback", "limits")

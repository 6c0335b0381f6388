"""The whole voyage: Spark driver and two executors, two training pods, a verdict, a champion, predictions through the Service."""

from __future__ import annotations

import json
import urllib.request

from cluster.handles import Handle
from tests.cluster_real.sandbox import Sandbox, get


def test_the_whole_pipeline(sandbox: Sandbox) -> None:
    with sandbox.forward("seatrial-mlflow", 5000) as registry:
        answer = sandbox.run("run", "flights.yaml", *sandbox.on_kubernetes(), "--output", "json", limit=2000, MLFLOW_TRACKING_URI=registry)
    assert answer.returncode == 0, answer.stderr[-6000:]


def test_every_step_was_a_job_of_the_cluster(sandbox: Sandbox) -> None:
    listed = json.loads(sandbox.run("jobs", "--output", "json").stdout)
    kinds = {each["step"]: Handle.parse(each["handle"]).kind for each in listed}
    assert kinds.keys() >= {"features", "train", "judge", "serve"}
    assert kinds["train"] == "RayJob"


def test_predictions_come_through_the_service(sandbox: Sandbox) -> None:
    with sandbox.forward("seatrial-serve-svc", 8000) as url:
        example = get(f"{url}/example")[1]
        request = urllib.request.Request(f"{url}/predict", example, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            told = json.load(answer)
            assert answer.headers["x-seatrial-bundle"]
    assert str(told["model_version"]) == "1"


def test_a_second_run_reuses_everything(sandbox: Sandbox) -> None:
    with sandbox.forward("seatrial-mlflow", 5000) as registry:
        answer = sandbox.run("run", "flights.yaml", *sandbox.on_kubernetes(), limit=900, MLFLOW_TRACKING_URI=registry)
    assert answer.returncode == 0, answer.stderr[-6000:]

"""A running service changes its model without loss: shadow, canary, full, rollback by hand and by limits; then drift, alarm and retraining."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow.csv as pacsv
import pytest

from jobs.contracts import bundle as bundles
from jobs.contracts import storage
from jobs.control import tracking
from jobs.control.mlflow_client import open_client
from jobs.control.registry_mlflow import MlflowRegistry
from tests.e2e.conftest import ROOT, Place, free_port, wait_until
from tests.workloads.tiny_data import write_points

pytestmark = pytest.mark.timeout(600)


class Watched(Place):
    """Its service writes the prediction log twice a second, so that tests need not wait."""

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SEATRIAL_")}
        argv = [sys.executable, "-m", "jobs.control.cli", *arguments]
        more = {"PYTHONPATH": str(ROOT), "SEATRIAL_PREDICTIONS_SECONDS": "0.5"}
        return subprocess.Popen(argv, cwd=self.folder, env=environment | more, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ok(self, *arguments: str) -> str:
        answer = self.run(*arguments)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def status(self) -> dict[str, Any]:
        return self.json("serve", "status")  # type: ignore[no-any-return]

    def ask(self, rows: list[dict[str, Any]], prefix: str) -> dict[str, tuple[str, float]]:
        """Every row as a request of its own: id -> (version, probability)."""
        found = {}
        for number, row in enumerate(rows):
            name = f"{prefix}-{number}"
            request = urllib.request.Request(f"{self.url}/predict", json.dumps(row).encode(), {"Content-Type": "application/json", "x-request-id": name})
            with urllib.request.urlopen(request, timeout=30) as answer:
                body = json.load(answer)
            found[name] = (body["model_version"], body["predictions"][0]["probability"])
        return found

    def versions(self, rows: list[dict[str, Any]], prefix: str) -> Counter[str]:
        return Counter(version for version, _ in self.ask(rows, prefix).values())


@dataclass
class Load:
    """Asks without pause until told to stop."""

    place: Watched
    row: dict[str, Any]
    versions: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Load:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self.stopped.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self.stopped.is_set():
            try:
                self.versions += self.place.versions([self.row], f"load-{number}")
            except (OSError, urllib.error.URLError) as error:
                self.failures.append(str(error))
            number += 1


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A service with two versions of the tiny model, the first of which answers, and a third that is worse."""
    folder = tmp_path_factory.mktemp("change")
    shutil.copytree(ROOT / "tests" / "workloads" / "tiny", folder / "tiny", ignore=shutil.ignore_patterns("__pycache__"))
    write_points(folder / "tiny" / "data")
    place = Watched(folder, free_port())
    try:
        for more in ((), ("--set", "steps.fit.params.seed=2")):
            run = place.run_file("tiny/pipeline.yaml", "--keep", *more)
            assert run.returncode == 0, run.stderr
        register_worse(place)
        if place.status()["rollout"]["champion"] != "1":
            place.ok("models", "promote", "tiny", "1")
        yield place
    finally:
        place.run("serve", "down")


def register_worse(place: Watched) -> None:
    """Version 3: answers a twentieth of what version 2 does."""
    folder, uri = place.folder / "worse", f"sqlite:///{place.folder / '.seatrial' / 'mlflow.db'}"
    shutil.copytree(place.json("models", "show", "tiny/2")["uri"], folder)
    model = onnx.load(str(folder / bundles.MODEL))
    for node in model.graph.node:
        node.output[:] = ["raw" if name == "probability" else name for name in node.output]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.05), "twentieth"))
    model.graph.node.append(onnx.helper.make_node("Mul", ["raw", "twentieth"], ["probability"]))
    onnx.save(model, str(folder / bundles.MODEL))
    described = bundles.load(str(folder), verify_files=False)
    files = described.files | {bundles.MODEL: storage.sha256(str(folder / bundles.MODEL))}
    bundles.publish(folder, described.model_copy(update={"files": files}))
    client = open_client(uri)
    run = tracking.start_run(client, tracking.experiment(client, "tiny", place.folder / ".seatrial" / "mlflow"), name="worse", params={}, tags={})
    assert MlflowRegistry(client, uri).register("tiny", str(folder), run=run).version == "3"


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """Points as the service is asked about them."""
    return points(seed=5)


def points(seed: int, shift: float = 0.0, count: int = 600) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    x, y = random.normal(0, 2, (2, count)).clip(-9, 9).round(4)
    return [
        {**EXAMPLE, "x": float(a + shift), "y": float(b), "cluster": ["north", "east", "south"][number % 3]}
        for number, (a, b) in enumerate(zip(x, y, strict=True))
    ]


EXAMPLE: dict[str, Any] = {}


@pytest.fixture(scope="module", autouse=True)
def _example(place: Watched) -> None:
    EXAMPLE.update(place.get("/example"))


def of_version(status: dict[str, Any], version: str) -> dict[str, Any]:
    return next((each for each in status["traffic"] if each["version"] == version), {})


def test_a_shadow_scores_a_copy_and_answers_nobody(place: Watched, rows: list[dict[str, Any]]) -> None:
    told = place.ok("models", "promote", "tiny", "2", "--shadow", "--reason", "a first look")
    assert "version 1 answers, version 2 scores a copy" in told
    assert "the service follows" in told
    assert place.versions(rows[:300], "shadow") == {"1": 300}
    wait_until(lambda: of_version(place.status(), "2").get("requests") == 300, 20)
    status = place.status()
    assert (of_version(status, "1")["role"], of_version(status, "2")["role"]) == ("champion", "shadow")
    assert of_version(status, "2")["failed"] == 0
    assert (status["steps"][-1]["step"], status["steps"][-1]["by"], status["steps"][-1]["reason"]) == ("shadow 2", "you", "a first look")


def test_a_canary_answers_its_share_always_the_same_requests(place: Watched, rows: list[dict[str, Any]]) -> None:
    place.ok("models", "promote", "tiny", "2", "--canary", "30")
    first, again = place.ask(rows[:300], "canary"), place.ask(rows[:300], "canary")
    assert first == again
    share = Counter(version for version, _ in first.values())
    assert 60 < share["2"] < 120
    place.ok("models", "promote", "tiny", "2", "--canary", "60")
    more = place.ask(rows[:300], "canary")
    with Load(place, rows[0]) as load:
        frame = place.json("serve", "top", "--once")
    assert load.failures == []
    assert {line["version"]: line["role"] for line in frame["lines"]} == {"1": "champion", "2": "canary"}
    assert sum(line["requests"] for line in frame["lines"]) > 0
    assert {name for name, (version, _) in first.items() if version == "2"} < {name for name, (version, _) in more.items() if version == "2"}


def test_both_versions_can_be_addressed(place: Watched, rows: list[dict[str, Any]]) -> None:
    inputs = [{"name": name, "shape": [1], "datatype": "BYTES" if isinstance(value, str) else "FP64", "data": [value]} for name, value in rows[0].items()]
    for version in ("1", "2"):
        answer, _ = place.post(f"/v2/models/tiny/versions/{version}/infer", {"inputs": inputs})
        assert answer["model_version"] == version
    assert set(place.get("/v2/models/tiny")["versions"]) == {"1", "2"}


def test_full_promotion_and_rollback_lose_no_request(place: Watched, rows: list[dict[str, Any]]) -> None:
    with Load(place, rows[0]) as load:
        wait_until(lambda: load.versions.total() > 20, 30)
        assert "version 2 answers; a rollback leads to version 1" in place.ok("models", "promote", "tiny", "2", "--full")
        assert place.versions(rows[:20], "after") == {"2": 20}
        assert "version 1 answers" in place.ok("models", "rollback", "tiny")
        assert place.versions(rows[:20], "back") == {"1": 20}
        assert "no earlier champion" in place.run("models", "rollback", "tiny").stderr
    assert load.failures == []
    assert set(load.versions) == {"1", "2"}


def test_a_canary_whose_scores_are_off_is_taken_back_by_itself(place: Watched, rows: list[dict[str, Any]]) -> None:
    place.ok("models", "promote", "tiny", "3", "--canary", "50")
    assert set(place.versions(rows, "worse")) == {"1", "3"}
    wait_until(lambda: place.status()["rollout"]["mode"] == "full", 30)
    last = place.status()["steps"][-1]
    assert (last["step"], last["by"]) == ("rollback to 1", "limits")
    assert "version 3: scores are distributed otherwise" in last["reason"]
    wait_until(lambda: set(place.versions(rows[:30], "healed")) == {"1"}, 10)
    assert "limits" in place.ok("serve", "status")


def test_labels_that_arrive_late_show_live_quality(place: Watched, rows: list[dict[str, Any]]) -> None:
    answers = place.ask(rows, "labelled")
    wait_until(lambda: _logged(place) >= len(rows), 20)
    random = np.random.default_rng(0)
    lines = [f"{name},{int(random.random() < probability)}" for name, (_, probability) in answers.items()]
    (place.folder / "labels.csv").write_text("\n".join(["request_id,label", *lines]))
    assert place.json("drift", "labels", "tiny", "labels.csv") == {"labels": len(rows), "new": True}
    found = {each["version"]: each for each in place.json("drift", "quality", "tiny") if not each["trial"]}
    assert found["1"]["labelled"] == len(rows)
    assert found["1"]["metrics"]["roc_auc"]["low"] > 0.5
    assert "roc_auc" in place.ok("drift", "quality", "tiny")


def _logged(place: Watched) -> int:
    return int(place.json("drift", "quality", "tiny", "--hours", "0.01")[-1]["rows"])


def test_drifted_traffic_raises_the_alarm_trains_and_promotes(place: Watched) -> None:
    policy = ["model: tiny", "pipeline: tiny/pipeline.yaml", f"set: [targets.local.port={place.port}]", "cooldown: 1h", "drift: {rows: 300, hours: 1}"]
    (place.folder / "retrain.yaml").write_text("\n".join(policy))
    write_points(place.folder / "tiny" / "data", rows=4_000, seed=7)
    shift_points(place.folder / "tiny" / "data" / "points.csv", 4.0)
    place.ask(points(seed=6, shift=4.0, count=2_000), "drifted")
    wait_until(lambda: "x" in place.json("drift", "report", "tiny")["drifted"], 30)
    assert "DRIFTED" in place.ok("drift", "report", "tiny", "--html", "drift.html")
    assert "<svg" in (place.folder / "drift.html").read_text()

    event = place.json("watch", "retrain.yaml", "--once")
    assert event["kind"] == "done", event
    assert event["champion"] not in ("1", "2", "3")
    wait_until(lambda: set(place.versions(points(seed=8, shift=4.0, count=20), "new")) == {event["champion"]}, 20)
    status = place.status()
    assert (status["steps"][-1]["by"], status["steps"][-1]["step"]) == ("gate", f"full {event['champion']}")
    lines = [json.loads(line) for line in (place.folder / ".seatrial" / "watch" / "tiny.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["alarm", "done"]
    assert "drift of" in lines[0]["text"]
    place.ask(points(seed=9, shift=4.0, count=400), "settled")  # like the data that the new version was trained on
    wait_until(lambda: place.json("drift", "report", "tiny")["rows"] >= 400, 20)
    assert "x" not in place.json("drift", "report", "tiny")["drifted"]
    assert place.json("watch", "retrain.yaml", "--once") == {"kind": "quiet"}
    with urllib.request.urlopen(f"{place.url}/metrics", timeout=30) as metrics:
        assert f'seatrial_rollout_step{{mode="full",model="tiny"}} {status["steps"][-1]["revision"]}' in metrics.read().decode()


def shift_points(file: Path, by: float) -> None:
    table = pacsv.read_csv(file)
    moved = table.set_column(table.column_names.index("x"), "x", [np.round(table["x"].to_numpy() + by, 4)])
    pacsv.write_csv(moved, file, pacsv.WriteOptions(quoting_style="none"))

"""The deploy step against a real HTTP server: waits for the version, compares online with offline, says what is wrong."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from jobs.contracts.entrypoint import run_step
from jobs.contracts.job import ERROR, METRICS, OUTPUTS, Job
from serve.deploy import deploy
from tests.http_server import Answer, FakeServer
from tests.serve.conftest import Alias, Published, application


class Service:
    """uvicorn in a thread, serving whatever ``alias`` points to."""

    def __init__(self) -> None:
        self.alias = Alias()
        self._server = uvicorn.Server(uvicorn.Config(application(self.alias, poll_seconds=0.02), port=0, log_level="error"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)


@pytest.fixture
def service() -> Iterator[Service]:
    running = Service()
    yield running
    running.stop()


@pytest.fixture
def step(published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the deploy step: ``step(url, version, **params)`` returns (exit code, outputs.json or error.json)."""

    def run(url: str, version: int, *, uri: str = "", dataset: bool = True, **params: Any) -> tuple[int, dict[str, Any]]:
        inputs = ("bundle", "dataset") if dataset else ("bundle",)
        job = Job(pipeline="p", run="r", step="serve", kind="deploy", params=params, inputs=inputs, fingerprint="f" * 64)
        (tmp_path / "job.json").write_text(job.model_dump_json())
        settings = {
            "SERVE_URL": url,
            "MODEL_NAME": "parcels",
            "MODEL_VERSION": str(version),
            "MODEL_URI": uri or published.uri(version),
            "STEP_DIR": str(tmp_path),
        }
        settings |= {"INPUT_BUNDLE": published.uri(version), "INPUT_DATASET": str(published.dataset)}
        for name, value in settings.items():
            monkeypatch.setenv(f"SEATRIAL_{name}", value)
        code = run_step(deploy, ["--job", str(tmp_path / "job.json")])
        return code, json.loads((tmp_path / (ERROR if code else OUTPUTS)).read_bytes())

    return run


def test_it_waits_for_the_version_and_compares_every_row(service: Service, published: Published, step: Any, tmp_path: Path) -> None:
    service.alias.target = published.version(1)
    threading.Timer(0.5, lambda: setattr(service.alias, "target", published.version(2))).start()
    code, result = step(service.url, 2)
    summary = result["summary"]
    assert (code, summary["url"], summary["model_version"], summary["rows_compared"]) == (0, service.url, "2", 1_000)
    assert 0.5 <= summary["seconds"] < 30
    assert summary["max_difference"] <= 1e-6
    assert set(summary["example"]) == {"row", "probability", "label"}
    assert set(summary["example"]["row"]) == {"color", "size", "weight"}
    assert summary["example"]["label"] in (0, 1)
    progress = [json.loads(line)["fraction"] for line in (tmp_path / METRICS).read_text().splitlines()]
    assert progress == sorted(progress)
    assert (progress[0], progress[-1]) == (0.0, 1.0)


def test_check_rows_bounds_the_comparison_and_a_dataset_is_optional(service: Service, published: Published, step: Any) -> None:
    service.alias.target = published.version(1)
    assert step(service.url, 1, check_rows=70)[1]["summary"]["rows_compared"] == 70
    assert step(service.url, 1, dataset=False)[1]["summary"]["rows_compared"] == 1


def test_a_difference_is_an_error(service: Service, published: Published, step: Any) -> None:
    service.alias.target = replace(published.version(2), version="1")  # the service believes that the weak bundle is version 1
    code, error = step(service.url, 1)
    assert code == 1
    assert error["what"].startswith("online and offline answers differ by 0.")


def test_a_version_that_does_not_come_is_an_error_with_the_reason(service: Service, published: Published, step: Any, tmp_path: Path) -> None:
    service.alias.target = published.version(1)
    assert "version 1 answers" in step(service.url, 2, timeout=0.5)[1]["what"]
    broken = Path(shutil.copytree(published.uri(2), tmp_path / "broken"))
    (broken / "model.onnx").write_bytes(b"")
    service.alias.target = replace(published.version(2), uri=str(broken))
    code, error = step(service.url, 2, timeout=0.5)
    assert code == 1
    assert "version 2 does not load" in error["what"]


def test_no_champion_and_no_service_are_errors(service: Service, step: Any) -> None:
    assert "no champion yet" in step(service.url, 1, timeout=0.2)[1]["what"]
    service.stop()
    code, error = step(service.url, 1, timeout=0.2)
    assert (code, "refused" in error["what"].lower()) == (1, True)


def test_without_its_variables_the_step_says_what_is_missing(step: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    code, error = step("", 1)
    assert (code, error["what"]) == (2, "SEATRIAL_SERVE_URL is not set")


def test_a_bundle_that_a_server_hands_out_is_fetched_from_there(service: Service, published: Published, step: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """A champion of an earlier run lies in the registry alone, out of the target's store."""
    service.alias.target = published.version(2)
    place = "/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts/bundle"
    monkeypatch.setenv("SEATRIAL_HOME", str(tmp_path))
    with FakeServer({f"{place}/{path.name}": Answer(path.read_bytes()) for path in Path(published.uri(2)).iterdir()}) as mlflow:
        monkeypatch.setenv("SEATRIAL_TRACKING_URI", mlflow.address)
        code, result = step(service.url, 2, uri="mlflow-artifacts:/1/run/artifacts/bundle", dataset=False)
    assert (code, result["summary"]["rows_compared"]) == (0, 1)
    assert {request.path for request in mlflow.requests} == {f"{place}/{path.name}" for path in Path(published.uri(2)).iterdir()}

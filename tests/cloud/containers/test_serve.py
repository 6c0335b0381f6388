"""``serve`` as both clouds start it, and the server that it becomes, over HTTP."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cloud.containers import serve
from jobs.contracts import bundle as bundles
from jobs.contracts.errors import InputError
from tests import factories
from tests.cloud.containers.rig import variables

ROW = {"color": "red", "size": 12.0, "weight": 3.5}


def request(port: int, path: str, body: bytes | None = None, kind: str = "application/json") -> tuple[int, Mapping[str, str], bytes]:
    wanted = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"content-type": kind} if body is not None else {})
    try:
        with urllib.request.urlopen(wanted, timeout=10) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


@contextmanager
def started(environment: Mapping[str, str], health: str, log: Path) -> Iterator[int]:
    """The container's process; yields its port once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    # A loopback AWS endpoint says that this is practice: then nothing listens on other interfaces.
    told = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", **variables(), **{name: value.replace("PORT", str(port)) for name, value in environment.items()}}
    with log.open("wb") as stream:
        process = subprocess.Popen([sys.executable, "-m", "cloud.containers.serve"], env=told, stderr=stream)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                if request(port, health)[0] == 200:
                    break
            except OSError:
                pass
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.fixture(scope="module")
def sagemaker(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The bundle as ``model.tar.gz`` unpacks: in a folder of its own below /opt/ml/model."""
    root = tmp_path_factory.mktemp("ml")
    (root / "model").mkdir()
    (root / "model" / "bundle").symlink_to(bundle)
    named = {"SEATRIAL_MODEL_NAME": "parcels", "SEATRIAL_MODEL_VERSION": "7"}
    with started({"SEATRIAL_ML_ROOT": str(root), "SAGEMAKER_BIND_TO_PORT": "PORT", **named}, "/ping", root / "log") as port:
        yield port


def expected(row: dict[str, Any]) -> float:
    import pyarrow as pa

    types = {"color": pa.string(), "size": pa.float64(), "weight": pa.float64()}
    return float(factories.probability(pa.table({name: pa.array([value], types[name]) for name, value in row.items()}))[0])


def test_predictions_name_version_and_bundle(sagemaker: int, bundle: Path) -> None:
    status, headers, body = request(sagemaker, "/predict", json.dumps(ROW).encode())
    answer = json.loads(body)
    assert status == 200
    assert answer["model_version"] == "7"
    assert answer["model"] == "parcels"
    assert answer["predictions"][0]["probability"] == pytest.approx(expected(ROW), abs=1e-6)
    assert {key.lower(): value for key, value in headers.items()}["x-seatrial-bundle"] == bundles.load(str(bundle)).fingerprint


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"dataframe_records": [{"color": "red", "size": 12.0, "weight": 3.5}, {"color": null, "size": 9, "weight": null}]}'),
        ("text/csv", b"color,size,weight\nred,12,3.5\n,9,\n"),
    ],
)
def test_invocations_take_json_and_csv(sagemaker: int, kind: str, body: bytes) -> None:
    status, _, answer = request(sagemaker, "/invocations", body, kind)
    assert status == 200, answer
    wanted = [expected(ROW), expected({"color": None, "size": 9.0, "weight": None})]
    assert json.loads(answer)["predictions"] == pytest.approx(wanted, abs=1e-6)


def test_a_bad_row_is_the_clients_fault(sagemaker: int) -> None:
    assert request(sagemaker, "/invocations", b'{"instances": [{"colour": "red"}]}')[0] == 400


def test_transform_is_told_how_much_to_send(sagemaker: int) -> None:
    status, _, body = request(sagemaker, "/execution-parameters")
    assert status == 200
    assert json.loads(body) == {"MaxConcurrentTransforms": 4, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 16}
    assert request(sagemaker, "/execution-parameters", b"{}")[0] in (404, 405)


def test_it_listens_on_this_machine_alone_in_practice(sagemaker: int) -> None:
    with socket.socket() as other, pytest.raises(OSError, match="refused"):
        other.connect(("127.0.0.2", sagemaker))


def test_azure_finds_the_model_asset_and_asks_its_own_routes(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle").symlink_to(bundle)
    with started({"AZUREML_MODEL_DIR": str(tmp_path), "AZUREML_SERVER_PORT": "PORT"}, "/v2/health/live", tmp_path / "log") as port:
        assert request(port, "/v2/health/ready")[0] == 200
        status, _, body = request(port, "/predict", json.dumps([ROW, ROW]).encode())
        assert status == 200
        assert [each["probability"] for each in json.loads(body)["predictions"]] == pytest.approx([expected(ROW)] * 2, abs=1e-6)
        assert json.loads(body)["model"] == "parcels"


def test_several_workers_answer_on_one_port(bundle: Path, tmp_path: Path) -> None:
    told = {"AZUREML_MODEL_DIR": str(bundle), "AZUREML_SERVER_PORT": "PORT", "SAGEMAKER_MODEL_SERVER_WORKERS": "2"}
    with started(told, "/v2/health/ready", tmp_path / "log") as port:
        assert json.loads(request(port, "/execution-parameters")[2])["MaxConcurrentTransforms"] == 8
        assert all(request(port, "/predict", json.dumps(ROW).encode())[0] == 200 for _ in range(10))


def test_a_broken_bundle_ends_the_container_with_a_sentence(bundle: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(bundle, tmp_path / "model")
    (tmp_path / "model" / "model.onnx").write_bytes(b"nothing")
    command = serve.command({"SEATRIAL_ML_ROOT": str(tmp_path), "AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    done = subprocess.run(command, env=variables(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "model.onnx" in done.stderr
    assert "Traceback" not in done.stderr


def test_where_it_listens(bundle: Path) -> None:
    def port(**env: str) -> tuple[str, str]:
        words = serve.command({"SEATRIAL_ML_ROOT": str(bundle.parent / "none"), **env})
        return words[words.index("--host") + 1], words[words.index("--port") + 1]

    azure = {"AZUREML_MODEL_DIR": str(bundle)}
    assert port(**azure) == ("0.0.0.0", "5001")
    assert port(**azure, MLFLOW_TRACKING_URI="https://127.0.0.1:5602/mlflow") == ("127.0.0.1", "5001")
    with pytest.raises(InputError, match="no bundle"):
        port()


def test_two_bundles_are_one_too_many(bundle: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).symlink_to(bundle)
    with pytest.raises(InputError, match="2 bundles"):
        serve.bundle_below(tmp_path)

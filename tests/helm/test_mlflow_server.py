"""The server as the chart starts it: its very command and variables, with the volume in a folder of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from jobs.control.processes import stop_session
from jobs.control.spec import memory_bytes
from tests.cluster import rendered
from tests.helm import chart
from tests.ray_cluster import free_ports

START = 120  # seconds until it must answer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """(address, the folder that is its volume)"""
    volume, port = tmp_path_factory.mktemp("volume"), free_ports(1)[0]
    pod = chart.find(chart.render(), "Deployment")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    here = {name: str(value).replace("/seatrial/store", str(volume)) for name, value in rendered.env(pod).items()}
    script = container["args"][0].replace("/seatrial/store", str(volume)).replace("--port 5000", f"--port {port}").replace("0.0.0.0", "127.0.0.1")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with (volume.parent / f"{volume.name}.log").open("wb") as log:
        child = subprocess.Popen([*container["command"], script], env={"PATH": path, **here}, cwd="/", stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(f"http://127.0.0.1:{port}/health", child)
        yield f"http://127.0.0.1:{port}", volume
    finally:
        stop_session(child.pid, child, grace=1)
        child.wait()


def _wait(url: str, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        assert child.poll() is None, "it ended"
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("it does not answer")


def ask(url: str, host: str, path: str = "/api/2.0/mlflow/experiments/get?experiment_id=0") -> int:
    request = urllib.request.Request(url + path, headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            json.load(answer)
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_it_answers_to_the_services_name_and_to_no_stranger(server: tuple[str, Path]) -> None:
    url, _ = server
    assert ask(url, "seatrial-mlflow:5000") == 200
    assert ask(url, "localhost:15000") == 200, "by port-forward"
    assert ask(url, "evil.example") == 403


def test_it_keeps_its_database_and_artefacts_on_the_volume(server: tuple[str, Path]) -> None:
    url, volume = server
    request = urllib.request.Request(
        f"{url}/api/2.0/mlflow-artifacts/artifacts/run/file.txt", data=b"text", method="PUT", headers={"Host": "seatrial-mlflow:5000"}
    )
    urllib.request.urlopen(request, timeout=10).close()
    assert (volume / "mlflow/artifacts/run/file.txt").read_bytes() == b"text"
    assert (volume / "mlflow/mlflow.db").exists()
    assert {path.name for path in volume.iterdir()} == {"mlflow"}


def test_it_fits_its_memory(server: tuple[str, Path]) -> None:
    _, volume = server
    found = [each for each in psutil.process_iter() if _is_of(each, str(volume))]
    limit = chart.find(chart.render(), "Deployment")["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
    assert found
    assert sum(each.memory_info().rss for each in found) < 0.8 * memory_bytes(limit), [each.cmdline() for each in found]


def _is_of(process: psutil.Process, volume: str) -> bool:
    try:
        return volume in process.environ().get("MLFLOW_BACKEND_STORE_URI", "")
    except psutil.Error:
        return False


def test_a_probe_by_address_is_answered(server: tuple[str, Path]) -> None:
    url, _ = server
    request = urllib.request.Request(f"{url}/health", headers={"Host": "10.244.0.7:5000"})  # the kubelet asks so
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200

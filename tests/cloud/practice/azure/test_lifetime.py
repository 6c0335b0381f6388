"""What survives the service, how fast it is there, and that its certificate is one that clients accept."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from cloud.practice.azure.authority import ensure
from tests.cloud.practice.azure.test_endpoints import deploy, endpoint, score
from tests.cloud.practice.azure.workspace import Workspace


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_jobs_assets_blobs_and_endpoints_survive_and_a_running_job_fails(folder: Path) -> None:
    first = Workspace(folder)
    try:
        done = first.run("echo kept > ${{outputs.out}}/x", outputs={"out": {"jobOutputType": "uri_folder", "assetName": "kept"}})
        endpoint(first, "stays")
        assert deploy(first, "stays", "blue")["provisioningState"] == "Succeeded"
        key = first.call("POST", "onlineEndpoints/stays/listKeys")["primaryKey"]
        running = first.submit(first.command("sleep 60"))
        first.until(lambda: first.job(running)["status"] == "Running", "the job")
    finally:
        first.close()
    second = Workspace(folder)
    try:
        assert second.job(done["name"])["status"] == "Completed"
        given = {"jobInputType": "uri_folder", "uri": "azureml:kept@latest"}
        assert second.run("cat ${{inputs.kept}}/x", inputs={"kept": given})["log"].strip() == "kept"
        gone = second.job(running)
        assert (gone["status"], gone["error"]["message"]) == ("Failed", "the practice service was stopped")
        second.until(lambda: second.call("GET", "onlineEndpoints/stays/deployments/blue")["properties"]["provisioningState"] == "Succeeded", "the endpoint")
        assert score(second, "stays", {"x": 1}, "blue", key).json()["x"] == 1
    finally:
        second.close()


def test_is_ready_within_five_seconds(folder: Path) -> None:
    started = time.monotonic()
    workspace = Workspace(folder)
    try:
        workspace.call("GET", "")
        assert time.monotonic() - started < 5
    finally:
        workspace.close()


def test_the_authority_is_made_once_and_its_key_is_private(folder: Path) -> None:
    certificate, key, bundle = ensure(folder / "tls")
    before = certificate.read_bytes()
    assert ensure(folder / "tls")[0].read_bytes() == before
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
    import certifi

    assert Path(certifi.where()).read_bytes() in bundle.read_bytes()

"""Two voyages of the tiny pipeline whose registry is a server that keeps the artefacts to itself: nothing but HTTP leads to a bundle."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Place
from tests.mlflow_server import MlflowServer

FILE = "tiny/pipeline.yaml"


@pytest.mark.full
def test_register_serve_and_compare_through_a_server(place: Place, mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.address)
    first = place.run_file(FILE)
    assert first.returncode == 0, first.stderr
    champion = place.json("models", "show", "tiny")
    assert (champion["version"], champion["aliases"], champion["server"]) == ("1", ["champion"], mlflow_server.address)
    assert champion["uri"].startswith("mlflow-artifacts:/")
    assert place.newest_run()["steps"]["answer"]["summary"]["max_difference"] <= 1e-5

    second = place.run_file(FILE, "--set", "steps.fit.params.seed=2")
    assert second.returncode == 0, second.stderr
    judged = place.newest_run()["steps"]["judge"]["summary"]
    assert "the champion" in " ".join(judged["reasons"])  # it came from the server
    links = {link["kind"]: link["verified"] for link in place.json("models", "lineage", "tiny/1")}
    assert (links["version"], links["bundle"], links["dataset"]) == (True, True, True)
    assert not (place.folder / ".seatrial" / "mlflow.db").exists()

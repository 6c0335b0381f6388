"""The driver's dealings with a registry on a server that keeps its artefacts to itself; and the commands that read such a version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from jobs.contracts import bundle as bundles
from jobs.contracts import fingerprint
from jobs.contracts.errors import RunError, StorageError
from jobs.contracts.job import Product
from jobs.control import spec_file
from jobs.control.binding import Binding
from jobs.control.cli import models
from jobs.control.home import Home
from jobs.control.lineage import Link, trace
from jobs.control.local_backend import LocalBackend
from jobs.control.promotion import Promotion, TrainedStep
from jobs.control.staging import source_of_code
from jobs.control.step_inputs import StepInputs
from tests.factories import make_bundle, make_dataset
from tests.mlflow_server import MlflowServer

TRAINED = TrainedStep(run="r-1", step="fit", metrics='{"time": 1, "epoch": 1, "loss": 0.5}\n', params={"seed": 1}, tags={"seatrial.run": "r-1"})
FILE = Path(__file__).parents[2] / "workloads" / "tiny" / "pipeline.yaml"


@pytest.fixture
def home(tmp_path: Path, mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Of a user outside the server, which knows nothing of this folder."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.address)
    monkeypatch.setenv("SEATRIAL_HOME", str(tmp_path / "home"))
    home = Home.find()
    home.create()
    make_dataset(home.datasets / "parcels" / "data", rows=400)
    make_bundle(tmp_path / "bundle", home.datasets / "parcels" / "data")
    return home


def _promote(home: Home, model: str, bundle: Path) -> dict[str, str]:
    (bundle.parent / "report.html").write_text("<p>good</p>")
    with Promotion(home, model) as promotion:
        with pytest.raises(RunError, match="no champion"):
            promotion.serving_variables([])
        verdict = {"champion": True, "metrics": {"roc_auc": 0.9}}
        product = Product(uri=str(bundle), fingerprint=bundles.load(str(bundle)).fingerprint)
        promotion.register(TRAINED, product, lambda uri: uri, verdict=verdict, tags={"seatrial.run": "r-1", "seatrial.report": str(bundle.parent)})
        return promotion.serving_variables([])


def test_a_deploy_step_is_told_where_it_can_read_the_bundle(home: Home, mlflow_server: MlflowServer, tmp_path: Path) -> None:
    told = _promote(home, "promoted", tmp_path / "bundle")
    assert (told["SEATRIAL_MODEL_NAME"], told["SEATRIAL_MODEL_VERSION"], told["SEATRIAL_TRACKING_URI"]) == ("promoted", "1", mlflow_server.address)
    there = mlflow_server.path_of(told["SEATRIAL_MODEL_URI"])
    assert bundles.load(str(there)) == bundles.load(str(tmp_path / "bundle"))
    assert (there.parent / "report" / "report.html").read_text() == "<p>good</p>"
    with Promotion(home, "promoted") as promotion:  # a copy in the target's own store is nearer
        near = Product(uri="pvc://claim/runs/r/fit/bundle", fingerprint=bundles.load(str(there)).fingerprint)
        assert promotion.serving_variables([near])["SEATRIAL_MODEL_URI"] == near.uri


def test_an_evaluation_compares_with_a_champion_that_lies_on_the_server(home: Home, tmp_path: Path) -> None:
    _promote(home, "tiny", tmp_path / "bundle")
    champion = bundles.load(str(tmp_path / "bundle"))
    make_bundle(tmp_path / "newer", home.datasets / "parcels" / "data", skill=0.5)
    binding = Binding(spec_file.load(FILE, ()), FILE.parent, "r-2", source_of_code(FILE.parent, fingerprint.of_code(FILE.parent)))
    inputs = StepInputs(binding, home, LocalBackend(home), "local", FILE)
    given = {"dataset": str(home.datasets / "parcels" / "data"), "bundle": str(tmp_path / "newer"), "baseline": str(tmp_path / "newer")}
    found = inputs.of("judge", given)["champion"]
    assert found.fingerprint == champion.fingerprint
    assert bundles.load(found.uri) == champion
    assert Path(found.uri).is_relative_to(home.root)
    assert found.bytes > 0  # so another target is brought a copy
    assert "champion" not in inputs.of("judge", given | {"bundle": str(tmp_path / "bundle")})


def test_models_show_and_lineage_read_what_the_server_has_now(home: Home, mlflow_server: MlflowServer, tmp_path: Path) -> None:
    there = mlflow_server.path_of(_promote(home, "traced", tmp_path / "bundle")["SEATRIAL_MODEL_URI"])
    shown = json.loads(CliRunner().invoke(models.command, ["show", "traced", "--output", "json"]).output)
    assert shown["bundle"]["threshold"] == bundles.load(str(there)).threshold
    assert _verified(trace(home, "traced")) == (True, True)
    (there / bundles.VOCABULARY).write_text("{}")
    assert _verified(trace(home, "traced")) == (True, False)
    changed = bundles.load(str(there), verify_files=False).model_copy(update={"threshold": 0.9})
    (there / bundles.BUNDLE).write_text(changed.model_dump_json())
    assert _verified(trace(home, "traced")) == (False, False)


def _verified(links: list[Link]) -> tuple[bool | None, bool | None]:
    found = {link.kind: link.verified for link in links}
    return found["version"], found["bundle"]


def test_what_mlflow_says_is_one_sentence(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with Promotion(home, "nobody") as promotion, pytest.raises(StorageError) as refused:
        promotion.register(TRAINED, Product(uri=str(tmp_path / "bundle"), fingerprint=""), lambda uri: uri, verdict={}, tags={})
    assert refused.value.where == "http://127.0.0.1:9"
    assert "\n" not in refused.value.what

"""A bundle of Seatrial's in a deployment: the image's own server, at the routes of the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.contracts import bundle as bundles
from tests import factories
from tests.cloud.practice.azure.test_endpoints import deploy, endpoint, score
from tests.cloud.practice.azure.workspace import IMAGE, Workspace

ROUTES = {"liveness": "/v2/health/live", "readiness": "/v2/health/ready", "scoring": "/predict"}


@pytest.fixture(scope="module")
def model(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The id of a registered bundle, and where it lies."""
    dataset = tmp_path_factory.mktemp("dataset")
    factories.make_dataset(dataset, rows=500)
    place = workspace.blob("runs/r1/train/bundle")
    place.parent.mkdir(parents=True)
    factories.make_bundle(place, dataset)
    properties = {"modelType": "custom_model", "modelUri": "azureml://datastores/workspaceblobstore/paths/runs/r1/train/bundle"}
    return workspace.call("PUT", "models/parcels/versions/1", {"properties": properties})["id"], place


def test_a_bundle_answers_with_its_version_and_fingerprint(workspace: Workspace, model: tuple[str, Path]) -> None:
    routes = {f"{kind}Route": {"path": path, "port": 5001} for kind, path in ROUTES.items()}
    environment = workspace.call("PUT", "environments/serving/versions/1", {"properties": {"image": f"team.azurecr.io/{IMAGE}", "inferenceConfig": routes}})
    endpoint(workspace, "parcels")
    named = {"SEATRIAL_MODEL_NAME": "parcels", "SEATRIAL_MODEL_VERSION": "1"}
    deployed = deploy(workspace, "parcels", "blue", environment["id"], model=model[0], codeConfiguration=None, environmentVariables=named)
    assert deployed["provisioningState"] == "Succeeded", workspace.call("POST", "onlineEndpoints/parcels/deployments/blue/getLogs", {})["content"]
    answer = score(workspace, "parcels", {"color": "red", "size": 12.0, "weight": 3.5}, "blue")
    assert answer.status_code == 200, answer.text
    assert answer.json()["model_version"] == "1"
    assert answer.headers["x-seatrial-bundle"] == bundles.load(str(model[1])).fingerprint

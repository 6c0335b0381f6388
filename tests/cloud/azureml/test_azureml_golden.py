"""The flights pipeline as Azure ML documents and as the bodies that the SDK makes of them, word for word; a change must be looked at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloud.azureml import rules, submission
from cloud.azureml.azureml_backend import AzureMLBackend
from cloud.azureml.client import quiet
from cloud.azureml.step_plan import COMMAND
from jobs.contracts.errors import RequestError
from jobs.control.home import Home
from jobs.control.plan import Plan
from jobs.control.spec import AzureMLTarget, CloudImages, Pipeline
from tests.cloud import planned

GOLDEN = Path(__file__).parent / "golden"
ACCEPT = "SEATRIAL_ACCEPT_GOLDEN"
_ACCEPTED = bool(os.environ.get(ACCEPT))  # read before each test's environment is cleaned
GPU = ("steps.train.resources.gpu=1", "steps.train.resources.accelerator=A100", "steps.train.spot=true")
REAL = AzureMLTarget(
    subscription="11111111-2222-3333-4444-555555555555",
    resource_group="ml",
    workspace="team",
    registry="team.azurecr.io",
    images=CloudImages(ray="seatrial-ray:0.1.0"),
    identity="managed",
    tags={"team": "ml"},
)


def plans(pipeline: Pipeline, settings: AzureMLTarget) -> dict[str, Plan]:
    return planned.plans(AzureMLBackend(Home(Path("/home/.seatrial")), settings), pipeline)


def document(plan: Plan) -> dict[str, Any]:
    return dict(next(request.body for request in plan.requests if request.kind == COMMAND))


def compare(path: Path, text: str) -> None:
    if _ACCEPTED:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), f"{path} differs; look at the change, then accept it with {ACCEPT}=1 pytest {Path(__file__).name}"


@pytest.mark.parametrize(("name", "overrides", "settings"), [("flights-practice", (), AzureMLTarget()), ("flights-gpu-spot", GPU, REAL)])
def test_the_flights_pipeline_is_planned_as_accepted(name: str, overrides: tuple[str, ...], settings: AzureMLTarget) -> None:
    found = plans(planned.flights(*overrides), settings)
    compare(GOLDEN / f"{name}.yaml", yaml.safe_dump_all((plan.as_dict() for plan in found.values()), sort_keys=False, width=140))


def test_the_wire_body_is_as_accepted() -> None:
    """What the SDK would PUT, before it asks the workspace for the id of the environment."""
    with quiet():
        from azure.ai.ml.operations._job_operations import to_rest_job_object  # the pinned SDK's own way from an object to a body

    body = to_rest_job_object(submission.load_job(document(plans(planned.flights(*GPU), REAL)["train"])))
    made = body.as_dict()
    environment = made["properties"].pop("environmentId")  # an object still: the workspace answers with its id
    assert environment.image == "team.azurecr.io/seatrial-ray:0.1.0"
    compare(GOLDEN / "train-wire.json", json.dumps(made, indent=1, sort_keys=True, default=str) + "\n")


@pytest.mark.parametrize(("overrides", "settings"), [((), AzureMLTarget()), (GPU, REAL), (("steps.train.spot=true",), AzureMLTarget(compute="cpu-cluster"))])
def test_all_documents_are_valid(overrides: tuple[str, ...], settings: AzureMLTarget) -> None:
    for plan in plans(planned.flights(*overrides), settings).values():
        assert submission.violations(plan) == []
        for request in plan.requests:
            if request.kind == COMMAND:
                assert submission.load_job(dict(request.body)).name == request.body["name"]


def test_a_plan_needs_neither_the_sdk_nor_the_network() -> None:
    program = """
import sys
from cloud.azureml.azureml_backend import AzureMLBackend
from jobs.control.home import Home
from jobs.control.spec import AzureMLTarget
from pathlib import Path
from tests.cloud import planned
planned.plans(AzureMLBackend(Home(Path("/home/.seatrial")), AzureMLTarget()), planned.flights())
assert not [name for name in sys.modules if name == "azure" or name.startswith("azure.")]
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_cannot_be_said_is_a_loss_or_an_error() -> None:
    losses = {name: plan.losses for name, plan in plans(planned.flights("steps.train.spot=true"), AzureMLTarget(compute="cpu-cluster")).items()}
    assert losses["features"] == ("workers: Spark runs in a command job on one node, with the cores and memory of all 2 workers (managed Spark lags behind)",)
    assert losses["train"] == ("spot: whether nodes are interruptible is set on the compute cluster cpu-cluster",)
    with pytest.raises(RequestError, match="secrets: Azure ML hands none"):
        plans(planned.flights("steps.train.secrets.TOKEN=hub"), AzureMLTarget())
    with pytest.raises(RequestError, match="no machine known here has"):
        plans(planned.flights("steps.train.resources.cpu=500"), AzureMLTarget())


def test_practice_takes_the_place_of_a_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plans(planned.flights(), REAL)["train"].handle == f"azureml://11111111-2222-3333-4444-555555555555/ml/team/{planned.RUN}-train"
    monkeypatch.setenv("ARM_CLOUD_METADATA_URL", "https://127.0.0.1:5602/metadata/endpoints")
    assert plans(planned.flights(), REAL)["train"].handle == f"azureml://practice/practice/practice/{planned.RUN}-train"


# Path of what is changed, its new value, what must be said of it.
BAD: list[tuple[str, Any, str]] = [
    ("name", "a b", "use letters, digits"),
    ("name", "x" * 300, "at most 255"),
    ("command", "", "there is none"),
    ("command", "run ${{inputs.missing}}", "is not defined; there are: seatrial_job"),
    ("command", "run ${{outputs.missing}}", "is not defined"),
    ("command", "run ${{input.dataset}}", "is no expression"),
    ("command", "run ${{inputs.}}", "is no expression"),
    ("inputs.dataset.path", "", "has no path"),
    ("inputs.dataset.path", "/tmp/data", "no location that Azure ML can mount"),
    ("inputs.dataset.path", "s3://bucket/x", "no location that Azure ML can mount"),
    ("inputs.dataset.mode", "mount", "the mode 'mount' is unknown"),
    ("inputs.dataset.type", "folder", "the type 'folder' is unknown"),
    ("inputs.bad-name", {"path": "azureml://datastores/a/paths/b"}, "cannot be the name"),
    ("inputs.bundle", {"path": "azureml://datastores/a/paths/b"}, "is an input and an output"),
    ("outputs.bundle.mode", "ro_mount", "the mode 'ro_mount' is unknown"),
    ("outputs.bundle.type", "file", "the type 'file' is unknown"),
    ("outputs.bundle.path", "bucket/x", "no location"),
    ("resources.instance_count", -1, "at least 1, and is -1"),
    ("resources.instance_count", 0, "at least 1"),
    ("resources.instance_count", "2", "at least 1, and is '2'"),
    ("resources.instance_count", True, "at least 1, and is True"),
    ("resources.shm_size", "2Gi", "write a number and b, k, m or g"),
    ("resources", {"instance_count": 1}, "needs resources.instance_type"),
    ("distribution", {"type": "pytorch", "process_count_per_instance": 0}, "process_count_per_instance must be at least 1"),
    ("limits", {"timeout": 0}, "positive number of seconds"),
    ("limits", {"timeout": "30m"}, "positive number of seconds"),
    ("compute", "azureml:gpu", "job_tier is for serverless"),
    ("environment_variables.A B", "1", "is no name of a variable"),
    ("environment_variables.A", 1, "must be text"),
    ("tags.team", "x" * 300, "at most 256 characters"),
    ("tags", {str(number): "x" for number in range(60)}, "at most 50"),
]


@pytest.mark.parametrize(("path", "value", "said"), BAD, ids=[f"{row[0]}-{row[2][:16]}" for row in BAD])
def test_a_bad_document_is_told_in_words(path: str, value: Any, said: str) -> None:
    made = json.loads(json.dumps(document(plans(planned.flights(*GPU), REAL)["train"])))
    assert rules.violations(made) == []
    *folders, last = path.split(".")
    inner = made
    for name in folders:
        inner = inner[name]
    inner[last] = value
    assert any(said in each for each in rules.violations(made)), rules.violations(made)

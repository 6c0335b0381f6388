"""What goes wrong between here and Azure: each a sentence, sent again only where that is right, and never a second job."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloud.azureml import client as clients
from cloud.azureml import states
from cloud.azureml.azureml_backend import AzureMLBackend
from cloud.azureml.step_plan import COMMAND
from jobs.contracts.errors import RequestError, RunError, SeatrialError, SetupError
from jobs.contracts.states import JobState
from jobs.control.home import Home
from jobs.control.plan import Plan
from jobs.control.spec import AzureMLTarget
from tests.cloud import planned
from tests.cloud.azureml.azure_server import LOST, BadDay

RETRIES = 3  # azure-ai-ml's own
EXPIRED = (401, "ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than the current UTC time.")


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BadDay]:
    day = BadDay(tmp_path_factory.mktemp("bad-day"))
    yield day
    day.workspace.close()


@pytest.fixture
def backend(day: BadDay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AzureMLBackend:
    for name, value in day.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("azure.core.pipeline.policies._retry.RetryPolicyBase.get_backoff_time", lambda *_: 0.0)
    return AzureMLBackend(Home(tmp_path), AzureMLTarget())


@pytest.fixture
def plan(backend: AzureMLBackend, request: pytest.FixtureRequest) -> Plan:
    """The train step's, under a name of this test's own, as a command that ends at once."""
    made = planned.plans(backend, planned.flights())["train"]
    name = f"job-{abs(hash(request.node.nodeid)):x}"
    body = {key: value for key, value in made.requests[1].body.items() if key not in ("distribution", "outputs")}
    body |= {"name": name, "command": "true", "inputs": {}, "resources": {"instance_count": 1}, "compute": "azureml:cpu-cluster"}
    return replace(made, handle=f"azureml://practice/practice/practice/{name}", requests=(made.requests[0], replace(made.requests[1], body=body)))


@pytest.mark.parametrize(
    ("answer", "kind", "said", "times"),
    [
        (EXPIRED, SetupError, "sign-in .* has run out", 1),
        ((403, "AuthorizationFailed", "The client does not have authorization to perform action"), RequestError, "not allowed", 1),
        ((409, "QuotaExceeded", "The requested number of cores exceeds the quota"), RequestError, "a quota is used up", 1),
        ((400, "UserError", "the compute is gone"), RequestError, "refuses the request", 1),
        ((429, "TooManyRequests", "The request is being throttled"), RunError, "is throttling", 1 + RETRIES),
        ((500, "InternalServerError", "try again"), RunError, "Azure failed", 1 + RETRIES),
    ],
    ids=lambda value: str(value[1]) if isinstance(value, tuple) else "",
)
def test_an_answer_of_azures_is_a_sentence(
    day: BadDay, backend: AzureMLBackend, plan: Plan, answer: tuple[int, str, str], kind: type[SeatrialError], said: str, times: int
) -> None:
    with day.answering(put_jobs=[answer]), pytest.raises(kind, match=said) as told:
        backend.submit(plan)
    assert told.value.hint
    assert day.count("PUT jobs") == times
    assert backend.status(plan.handle) == JobState.UNKNOWN


def test_throttling_that_passes_is_not_seen(day: BadDay, backend: AzureMLBackend, plan: Plan) -> None:
    with day.answering(put_jobs=[(429, "TooManyRequests", "later"), (429, "TooManyRequests", "later"), None]):
        assert backend.submit(plan) == plan.handle
    assert day.count("PUT jobs") == 3


def test_a_lost_answer_makes_no_second_job(day: BadDay, backend: AzureMLBackend, plan: Plan) -> None:
    before = len(list(backend.handles()))
    with day.answering(put_jobs=[LOST, None]):
        assert backend.submit(plan) == plan.handle
    assert {each for each in day.asked if each.startswith("PUT jobs")} == {f"PUT jobs/{plan.handle.rsplit('/', 1)[1]}"}
    assert day.count("PUT jobs") == 2
    assert len(list(backend.handles())) == before + 1


def test_a_job_that_is_there_is_not_sent_again(day: BadDay, backend: AzureMLBackend, plan: Plan) -> None:
    backend.submit(plan)
    with day.answering():
        assert backend.submit(plan) == plan.handle
    assert day.count("PUT jobs") == 0


def test_another_job_of_the_name_is_not_taken_for_ours(backend: AzureMLBackend, plan: Plan) -> None:
    backend.submit(plan)
    other = changed(plan, tags={**plan.requests[1].body["tags"], "seatrial.fingerprint": "other"})
    with pytest.raises(RequestError, match="something else has this name"):
        backend.submit(other)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"command": "run ${{inputs.missing}}"}, "is not defined"),
        ({"resources": {"instance_count": -1}}, "at least 1, and is -1"),
        ({"inputs": {"data": {"path": "/here", "type": "uri_folder"}}}, "no location that Azure ML can mount"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_document_that_is_not_valid_is_not_sent(day: BadDay, backend: AzureMLBackend, plan: Plan, change: dict[str, Any], said: str) -> None:
    with day.answering(), pytest.raises(RequestError, match=said):
        backend.submit(changed(plan, **change))
    assert day.asked == []


def test_what_the_sdks_schema_refuses_is_told_in_its_words(day: BadDay, backend: AzureMLBackend, plan: Plan) -> None:
    with day.answering(), pytest.raises(RequestError, match=r"environment.*may not be null"):
        backend.submit(changed(plan, environment=None))
    assert day.count("PUT jobs") == 0


def test_a_workspace_that_is_not_there_is_found_before_anything_is_sent(day: BadDay, backend: AzureMLBackend, plan: Plan) -> None:
    with day.answering():
        causes = backend.check(replace(plan, handle=plan.handle.replace("practice/practice/job", "practice/other/job")))
    assert [cause.name for cause in causes] == ["no-workspace"]
    assert backend.check(plan) == []


def test_nobody_answers(backend: AzureMLBackend, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARM_CLOUD_METADATA_URL", "https://127.0.0.1:9/metadata/endpoints")
    with pytest.raises(SetupError, match="does not answer") as told:
        backend.status(plan.handle)
    assert "seatrial practice status" in told.value.hint


def test_no_credentials_at_all(backend: AzureMLBackend, plan: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")  # azure-identity's own switch: this test must not ask a network
    with pytest.raises(SetupError, match="sign-in is missing") as told:
        backend.status(plan.handle)
    assert "az login" in told.value.hint


def test_practice_and_real_workspaces_are_not_mixed_up(backend: AzureMLBackend, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RequestError, match="is that of a practice service"):
        backend.status("azureml://11111111-2222-3333-4444-555555555555/ml/team/job")
    monkeypatch.delenv("ARM_CLOUD_METADATA_URL")
    with pytest.raises(RequestError, match="this is for the practice service"):
        backend.status(plan.handle)


def test_a_missing_sdk_is_named_with_its_extra(backend: AzureMLBackend, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    clients._made.cache_clear()
    monkeypatch.setitem(sys.modules, "azure.ai.ml", None)
    with pytest.raises(SetupError, match="azure-ai-ml is not installed") as told:
        backend.status(plan.handle)
    assert "seatrial[azureml]" in told.value.hint


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("NotStarted", JobState.QUEUED),
        ("Queued", JobState.QUEUED),
        ("Provisioning", JobState.STARTING),
        ("Running", JobState.RUNNING),
        ("Finalizing", JobState.RUNNING),
        ("CancelRequested", JobState.STOPPING),
        ("Canceled", JobState.STOPPED),
        ("Completed", JobState.SUCCEEDED),
        ("Failed", JobState.FAILED),
        ("Whatever", JobState.UNKNOWN),
    ],
)
def test_states(word: str, state: JobState) -> None:
    assert states.of_job(word) == state


def changed(plan: Plan, **change: Any) -> Plan:
    requests = tuple(replace(each, body={**each.body, **change}) if each.kind == COMMAND else each for each in plan.requests)
    return replace(plan, requests=requests)

"""Bad requests, each with the status and the code of the service; nothing is left of one that was refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cloud.practice.azure.addresses import WORKSPACE_ID
from tests.cloud.practice.azure.workspace import Workspace

Properties = dict[str, Any]
LITERAL = {"jobInputType": "literal", "value": "1"}


def changed(**changes: Any) -> Callable[[Workspace], Properties]:
    return lambda workspace: workspace.command("echo ${{inputs.x}}", inputs={"x": LITERAL}) | changes


JOBS = {
    "no type": (changed(jobType=None), "JobTypeNotSupported"),
    "a type that cannot be practised": (changed(jobType="AutoML"), "JobTypeNotSupported"),
    "no command": (changed(command=""), "BadArgument"),
    "a command of spaces": (changed(command="  "), "BadArgument"),
    "no environment": (changed(environmentId=None), "BadArgument"),
    "an unknown environment": (changed(environmentId=f"{WORKSPACE_ID}/environments/none/versions/1"), "NotFound"),
    "a registry's environment": (changed(environmentId="azureml://registries/azureml/environments/sklearn/versions/1"), "EnvironmentNotFound"),
    "unknown code": (changed(codeId=f"{WORKSPACE_ID}/codes/none/versions/1"), "NotFound"),
    "an unknown compute": (changed(computeId=f"{WORKSPACE_ID}/computes/none"), "ComputeNotFound"),
    "no instances": (changed(resources={"instanceCount": 0}), "BadArgument"),
    "a negative count": (changed(resources={"instanceCount": -1}), "BadArgument"),
    "a count that is text": (changed(resources={"instanceCount": "two"}), "BadArgument"),
    "more nodes than the cluster has": (changed(resources={"instanceCount": 99}), "NodeCountExceeded"),
    "an unknown distribution": (changed(distribution={"distributionType": "Dask"}), "BadArgument"),
    "no processes": (changed(distribution={"distributionType": "PyTorch", "processCountPerInstance": 0}), "BadArgument"),
    "an unknown tier": (changed(queueSettings={"jobTier": "Gold"}), "BadArgument"),
    "an input that the command uses and nobody gives": (changed(inputs={}), "InvalidExpression"),
    "an output that the command uses and nobody gives": (changed(command="ls ${{outputs.none}}"), "InvalidExpression"),
    "an unknown type of input": (changed(inputs={"x": {"jobInputType": "table", "uri": "x"}}), "BadArgument"),
    "an input without a place": (changed(inputs={"x": {"jobInputType": "uri_folder"}}), "BadArgument"),
    "a literal without a value": (changed(inputs={"x": {"jobInputType": "literal"}}), "BadArgument"),
    "an unknown mode of input": (changed(inputs={"x": {"jobInputType": "uri_folder", "uri": "azureml:d:1", "mode": "Mounted"}}), "BadArgument"),
    "an unknown data store": (changed(inputs={"x": {"jobInputType": "uri_folder", "uri": "azureml://datastores/none/paths/x"}}), "DatastoreNotFound"),
    "an unknown data asset": (changed(inputs={"x": {"jobInputType": "uri_folder", "uri": "azureml:none:1"}}), "NotFound"),
    "a place elsewhere": (changed(inputs={"x": {"jobInputType": "uri_folder", "uri": "https://example.com/x"}}), "DataAccessError"),
    "a path that leaves the store": (
        changed(inputs={"x": {"jobInputType": "uri_folder", "uri": "azureml://datastores/workspaceblobstore/paths/../x"}}),
        "DataAccessError",
    ),
    "an unknown type of output": (changed(outputs={"o": {"jobOutputType": "table"}}), "BadArgument"),
    "an unknown mode of output": (changed(outputs={"o": {"jobOutputType": "uri_folder", "mode": "Mount"}}), "BadArgument"),
    "a duration that is none": (changed(limits={"timeout": "10 minutes"}), "BadArgument"),
    "no time": (changed(limits={"timeout": "PT0S"}), "BadArgument"),
}


@pytest.mark.parametrize("what", JOBS)
def test_jobs(workspace: Workspace, what: str) -> None:
    make, inner = JOBS[what]
    answer = workspace.http.put(f"{WORKSPACE_ID}/jobs/bad-job", json={"properties": make(workspace)})
    assert answer.status_code in (400, 404), answer.text
    error = answer.json()["error"]
    assert error["code"] == "UserError"
    assert error["additionalInfo"][0]["info"]["value"]["code"] == inner, error["message"]
    workspace.call("GET", "jobs/bad-job", code=404)


REQUESTS: dict[str, tuple[str, str, Any, int, str]] = {
    "a name that no job may have": ("PUT", "jobs/bad name!", {"properties": {}}, 400, "UserError"),
    "a name that is too long": ("PUT", f"jobs/{'x' * 256}", {"properties": {}}, 400, "UserError"),
    "a body that is a list": ("PUT", "jobs/x", [], 400, "InvalidRequestContent"),
    "a body without properties": ("PUT", "jobs/x", {}, 400, "InvalidRequestContent"),
    "an unknown job": ("GET", "jobs/none", None, 404, "UserError"),
    "cancelling an unknown job": ("POST", "jobs/none/cancel", None, 404, "UserError"),
    "an unknown data store": ("GET", "datastores/none", None, 404, "UserError"),
    "an unknown model": ("GET", "models/none/versions/1", None, 404, "UserError"),
    "an environment of nothing": ("PUT", "environments/e/versions/1", {"properties": {}}, 400, "UserError"),
    "data of an unknown type": ("PUT", "data/d/versions/1", {"properties": {"dataType": "csv", "dataUri": "x"}}, 400, "UserError"),
    "data that is not there": (
        "PUT",
        "data/d/versions/1",
        {"properties": {"dataType": "uri_file", "dataUri": "azureml://datastores/workspaceblobstore/paths/no"}},
        400,
        "UserError",
    ),
    "a model without a place": ("PUT", "models/m/versions/1", {"properties": {}}, 400, "UserError"),
    "a component of nothing": ("PUT", "components/c/versions/1", {"properties": {}}, 400, "UserError"),
    "a version with a space": ("PUT", "environments/e/versions/a b", {"properties": {"image": "x"}}, 400, "UserError"),
    "deleting an asset": ("DELETE", "models/m/versions/1", None, 405, "MethodNotAllowed"),
    "an endpoint's name": ("PUT", "onlineEndpoints/9", {"properties": {}}, 400, "UserError"),
    "an unknown way to sign in": ("PUT", "onlineEndpoints/good", {"properties": {"authMode": "Password"}}, 400, "UserError"),
    "traffic to nobody": ("PUT", "onlineEndpoints/good", {"properties": {"traffic": {"blue": 100}}}, 400, "UserError"),
    "a deployment of no endpoint": ("PUT", "onlineEndpoints/none/deployments/blue", {"properties": {}}, 404, "UserError"),
    "a compute of another type": ("PUT", "computes/k8s", {"properties": {"computeType": "Kubernetes"}}, 501, "NotImplemented"),
    "a compute without a size": ("PUT", "computes/c", {"properties": {"computeType": "AmlCompute", "properties": {}}}, 400, "UserError"),
    "a data store elsewhere": (
        "PUT",
        "datastores/d",
        {"properties": {"datastoreType": "AzureBlob", "accountName": "mine", "containerName": "c"}},
        400,
        "UserError",
    ),
    "a data store of another kind": ("PUT", "datastores/d", {"properties": {"datastoreType": "AzureFile"}}, 501, "NotImplemented"),
    "something that is not built": ("GET", "featuresets/x", None, 501, "NotImplemented"),
    "deleting the workspace": ("DELETE", "", None, 501, "NotImplemented"),
}


@pytest.mark.parametrize("what", REQUESTS)
def test_requests(workspace: Workspace, what: str) -> None:
    method, path, body, status, code = REQUESTS[what]
    assert workspace.call(method, path, body, status)["error"]["code"] == code


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        (WORKSPACE_ID.replace("0000", "1111"), "SubscriptionNotFound"),
        (WORKSPACE_ID.replace("resourceGroups/practice", "resourceGroups/other"), "ResourceGroupNotFound"),
        (WORKSPACE_ID.replace("workspaces/practice", "workspaces/other"), "ResourceNotFound"),
    ],
)
def test_another_workspace(workspace: Workspace, scope: str, code: str) -> None:
    answer = workspace.http.get(scope)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, code)


@pytest.mark.parametrize(
    ("token", "code"), [("", "AuthenticationFailed"), ("Basic x", "AuthenticationFailed"), ("Bearer e30.eyJleHAiOjF9.x", "ExpiredAuthenticationToken")]
)
def test_tokens(workspace: Workspace, token: str, code: str) -> None:
    answer = workspace.http.get(f"{WORKSPACE_ID}/jobs", headers={"Authorization": token})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)


def test_an_identity_header_that_is_not_ours_gets_no_token(workspace: Workspace) -> None:
    assert workspace.http.get("/msi/token", params={"resource": "x"}, headers={"X-IDENTITY-HEADER": "other"}).status_code == 401


def test_a_job_s_command_cannot_be_changed(workspace: Workspace) -> None:
    properties = workspace.command("true")
    name = workspace.submit(properties)
    answer = workspace.call("PUT", f"jobs/{name}", {"properties": properties | {"command": "false"}}, 409)
    assert answer["error"]["additionalInfo"][0]["info"]["value"]["code"] == "ImmutableProperty"
    workspace.end(name)


def test_a_version_cannot_be_changed(workspace: Workspace) -> None:
    address = workspace.environment().split("/workspaces/practice/")[1]
    answer = workspace.call("PUT", address, {"properties": {"image": "other:1"}}, 409)
    assert answer["error"]["additionalInfo"][0]["info"]["value"]["code"] == "VersionExists"
    assert workspace.call("PUT", address, {"properties": {"tags": {"a": "b"}}})["properties"]["tags"] == {"a": "b"}


def test_addresses_do_not_care_about_case(workspace: Workspace) -> None:
    path = WORKSPACE_ID.replace("resourceGroups", "RESOURCEGROUPS").replace("workspaces/practice", "Workspaces/PRACTICE")
    assert workspace.http.get(f"{path}/DataStores/WorkspaceBlobStore").json()["name"] == "workspaceblobstore"

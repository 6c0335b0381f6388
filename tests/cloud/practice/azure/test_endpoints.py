"""Online endpoints: scoring scripts and serving images, traffic, keys, logs, failures."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.practice.azure.workspace import Workspace

SCORE = """
import json, os, pathlib, time
def init():
    global model
    if os.environ.get("BREAK"):
        raise RuntimeError("no weights")
    model = next(pathlib.Path(os.environ["AZUREML_MODEL_DIR"]).rglob("w.txt")).read_text()
    print("loaded", model, flush=True)
def run(data):
    given = json.loads(data)
    if given.get("fail"):
        raise ValueError("bad row")
    time.sleep(given.get("sleep", 0))
    return {"model": model, "color": os.environ.get("COLOR"), "x": given.get("x")}
"""
SERVE = """#!{python}
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.reply(b"" )
    def do_POST(self): self.reply(self.path.encode() + self.rfile.read(int(self.headers["Content-Length"])))
    def reply(self, body):
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *rest): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["AZUREML_SERVER_PORT"])), Handler).serve_forever()
"""
_SIZE = "Standard_DS3_v2"


def model(workspace: Workspace, name: str = "weights") -> str:
    place = workspace.blob(f"{name}/model")
    place.mkdir(parents=True, exist_ok=True)
    (place / "w.txt").write_text("W1")
    properties = {"modelUri": f"azureml://datastores/workspaceblobstore/paths/{name}/model", "modelType": "custom_model"}
    return str(workspace.call("PUT", f"models/{name}/versions/1", {"properties": properties})["id"])


def endpoint(workspace: Workspace, name: str, **traffic: int) -> dict[str, Any]:
    return workspace.call("PUT", f"onlineEndpoints/{name}", {"location": "westeurope", "properties": {"authMode": "Key", "traffic": traffic}})  # type: ignore[no-any-return]


def deploy(workspace: Workspace, name: str, color: str, environment: str = "", **more: Any) -> dict[str, Any]:
    """The deployment's properties once its operation has ended."""
    script = {"codeConfiguration": {"codeId": workspace.code(score_py=SCORE), "scoringScript": "score.py"}}
    shared = {
        "model": model(workspace),
        "environmentId": environment or workspace.environment(),
        "instanceType": _SIZE,
        "environmentVariables": {"COLOR": color},
    }
    path = f"onlineEndpoints/{name}/deployments/{color}"
    answer = workspace.http.put(f"{workspace_path(path)}", json={"sku": {"capacity": 1}, "properties": {**script, **shared, **more}})
    assert answer.status_code == 201, answer.text
    operation = answer.headers["azure-asyncoperation"]
    workspace.until(lambda: workspace.http.get(operation).json()["status"] != "InProgress", "the deployment", 60)
    return workspace.call("GET", path)["properties"]  # type: ignore[no-any-return]


def workspace_path(path: str) -> str:
    from cloud.practice.azure.addresses import WORKSPACE_ID

    return f"{WORKSPACE_ID}/{path}"


def score(workspace: Workspace, name: str, body: Any, deployment: str = "", key: str = "") -> Any:
    key = key or workspace.call("POST", f"onlineEndpoints/{name}/listKeys")["primaryKey"]
    headers = {"Authorization": f"Bearer {key}"} | ({"azureml-model-deployment": deployment} if deployment else {})
    return workspace.http.post(f"/endpoints/{name}/score", json=body, headers=headers)


@pytest.fixture(scope="module")
def colors(workspace: Workspace) -> str:
    """An endpoint with two deployments and no traffic yet."""
    endpoint(workspace, "colors")
    for color in ("blue", "green"):
        assert deploy(workspace, "colors", color)["provisioningState"] == "Succeeded"
    return "colors"


def test_traffic_is_split_by_share(workspace: Workspace, colors: str) -> None:
    endpoint(workspace, colors, blue=80, green=20)
    answers = [score(workspace, colors, {"x": number}) for number in range(100)]
    assert answers[0].json() == {"model": "W1", "color": answers[0].headers["azureml-model-deployment"], "x": 0}
    shares = Counter(answer.json()["color"] for answer in answers)
    assert 60 <= shares["blue"] <= 95
    assert shares["green"] == 100 - shares["blue"]


def test_a_header_chooses_the_deployment(workspace: Workspace, colors: str) -> None:
    assert {score(workspace, colors, {}, "green").json()["color"] for _ in range(5)} == {"green"}
    assert score(workspace, colors, {}, "red").status_code == 404


def test_a_wrong_key_is_refused_and_a_new_one_replaces_the_old(workspace: Workspace, colors: str) -> None:
    old = workspace.call("POST", f"onlineEndpoints/{colors}/listKeys")
    assert score(workspace, colors, {}, "blue", "wrong").status_code == 401
    workspace.call("POST", f"onlineEndpoints/{colors}/regenerateKeys", {"keyType": "Primary"})
    assert score(workspace, colors, {}, "blue", old["primaryKey"]).status_code == 401
    assert score(workspace, colors, {}, "blue", old["secondaryKey"]).status_code == 200
    assert "primaryKey" not in str(workspace.call("GET", f"onlineEndpoints/{colors}"))


def test_a_failing_model_is_424_and_a_slow_one_504(workspace: Workspace, colors: str) -> None:
    failed = score(workspace, colors, {"fail": True}, "blue")
    assert (failed.status_code, failed.headers["ms-azureml-model-error-statuscode"]) == (424, "500")
    assert "bad row" in failed.text
    deploy(workspace, colors, "quick", requestSettings={"requestTimeout": "PT0.2S"})
    assert score(workspace, colors, {"sleep": 1}, "quick").status_code == 504


def test_logs_are_the_container_s(workspace: Workspace, colors: str) -> None:
    assert "loaded W1" in workspace.call("POST", f"onlineEndpoints/{colors}/deployments/blue/getLogs", {"tail": 5000})["content"]


def test_a_deployment_with_traffic_stays(workspace: Workspace, colors: str) -> None:
    endpoint(workspace, colors, blue=100)
    answer = workspace.call("DELETE", f"onlineEndpoints/{colors}/deployments/blue", code=400)
    assert answer["error"]["additionalInfo"][0]["info"]["value"]["code"] == "DeploymentHasTraffic"
    assert workspace.call("PUT", f"onlineEndpoints/{colors}", {"properties": {"traffic": {"blue": 50}}}, 400)["error"]["target"] == "traffic"


def test_an_update_replaces_the_container(workspace: Workspace, colors: str) -> None:
    deploy(workspace, colors, "green", environmentVariables={"COLOR": "light green"})
    assert score(workspace, colors, {}, "green").json()["color"] == "light green"


def test_a_script_that_fails_at_start_fails_the_deployment(workspace: Workspace, colors: str) -> None:
    failed = deploy(workspace, colors, "broken", environmentVariables={"BREAK": "1"})
    assert (failed["provisioningState"], failed["error"]["code"]) == ("Failed", "ResourceNotReady")
    assert "no weights" in workspace.call("POST", f"onlineEndpoints/{colors}/deployments/broken/getLogs", {})["content"]


def test_an_image_serves_by_its_own_program_at_its_routes(workspace: Workspace, tmp_path: Path) -> None:
    program = tmp_path / "serve"
    program.write_text(SERVE.format(python=sys.executable))
    program.chmod(0o755)
    workspace.practice.images.add("server:1", sys.executable, str(tmp_path))
    routes = {f"{kind}Route": {"path": path, "port": 5001} for kind, path in (("liveness", "/live"), ("readiness", "/ready"), ("scoring", "/predict"))}
    environment = workspace.call("PUT", "environments/server/versions/1", {"properties": {"image": "server:1", "inferenceConfig": routes}})["id"]
    endpoint(workspace, "image")
    assert deploy(workspace, "image", "blue", environment, codeConfiguration=None)["provisioningState"] == "Succeeded"
    assert score(workspace, "image", {"x": 1}, "blue").text == '/predict{"x":1}'
    workspace.call("DELETE", "onlineEndpoints/image")
    workspace.call("GET", "onlineEndpoints/image/deployments/blue", code=404)


def test_drills_on_deployments(workspace: Workspace, colors: str) -> None:
    workspace.arm("image-pull", match="drilled")
    assert deploy(workspace, colors, "drilled")["error"]["code"] == "ImagePullFailure"
    workspace.arm("quota", match="refused")
    properties = {"environmentId": workspace.environment(), "instanceType": _SIZE}
    answer = workspace.call("PUT", f"onlineEndpoints/{colors}/deployments/refused", {"properties": properties}, 409)
    assert answer["error"]["code"] == "OutOfQuota"

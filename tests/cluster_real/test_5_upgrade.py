"""An upgrade keeps what is registered and who answers."""

from __future__ import annotations

from tests.cluster_real.sandbox import Sandbox, get


def test_an_upgrade_keeps_the_registry_and_the_champion(sandbox: Sandbox) -> None:
    service = (sandbox.kubectl.get("rayservices.ray.io", "seatrial") or {})["metadata"]["uid"]
    answer = sandbox.up("--set", "mlflow.resources.requests.cpu=60m")
    assert answer.returncode == 0, answer.stderr
    assert "installed" in answer.stderr
    assert (sandbox.kubectl.get("rayservices.ray.io", "seatrial") or {})["metadata"]["uid"] == service
    with sandbox.forward("seatrial-mlflow", 5000) as registry:
        assert "champion" in sandbox.run("models", "list", MLFLOW_TRACKING_URI=registry).stdout
    with sandbox.forward("seatrial-serve-svc", 8000) as url:
        assert get(f"{url}/v2/health/ready")[0] == 200

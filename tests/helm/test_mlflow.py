"""templates/mlflow"""

from __future__ import annotations

import pytest

from tests.cluster import rendered
from tests.helm import chart


def pod(values: chart.Object = {}, **how: str) -> chart.Object:  # noqa: B006
    return chart.find(chart.render(values, **how), "Deployment")["spec"]["template"]["spec"]  # type: ignore[no-any-return]


def test_should_keep_sqlite_and_artefacts_on_the_data_claim() -> None:
    env = rendered.env(pod())
    assert env["MLFLOW_BACKEND_STORE_URI"] == "sqlite:////seatrial/store/mlflow/mlflow.db"
    assert env["MLFLOW_ARTIFACTS_DESTINATION"] == "/seatrial/store/mlflow/artifacts"
    assert "--serve-artifacts" in pod()["containers"][0]["args"][0], "nobody else reaches them"


def test_should_be_reached_from_inside_only() -> None:
    objects = chart.render(chart.everything())
    assert chart.find(objects, "Service", "seatrial-mlflow")["spec"]["type"] == "ClusterIP"
    backends = [path["backend"]["service"]["name"] for path in chart.find(objects, "Ingress")["spec"]["rules"][0]["http"]["paths"]]
    assert backends == ["seatrial-serve-svc"]


@pytest.mark.parametrize(
    "host", ["seatrial-mlflow:5000", "seatrial-mlflow.seatrial.svc.cluster.local:5000", "localhost:5000", "127.0.0.1:15000", "mlflow.team"]
)
def test_should_answer_to_its_names(host: str) -> None:
    from mlflow.server.security_utils import is_allowed_host_header

    assert is_allowed_host_header(_allowed(), host)


@pytest.mark.parametrize("host", ["evil.example", "seatrial-mlflow.evil.example:5000"])
def test_should_not_answer_to_other_names(host: str) -> None:
    from mlflow.server.security_utils import is_allowed_host_header

    assert not is_allowed_host_header(_allowed(), host)


def _allowed() -> list[str]:
    return str(rendered.env(pod({"mlflow": {"allowedHosts": ["mlflow.team"]}}))["MLFLOW_SERVER_ALLOWED_HOSTS"]).split(",")


def test_should_read_the_address_of_its_database_from_a_secret_if_one_is_set() -> None:
    found = pod({"mlflow": {"database": {"secretName": "db", "key": "address"}}}, profile="s3")
    assert rendered.env(found)["MLFLOW_BACKEND_STORE_URI"] == {"secretKeyRef": {"name": "db", "key": "address"}}
    assert [volume["name"] for volume in found["volumes"]] == ["tmp"], "nothing of it is on a disk"


def test_should_have_a_claim_of_its_own_if_the_store_is_an_object_store() -> None:
    objects = chart.render(profile="s3")
    claim = chart.find(objects, "PersistentVolumeClaim", "seatrial-mlflow")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    env = rendered.env(pod(profile="s3"))
    assert env["MLFLOW_ARTIFACTS_DESTINATION"] == "s3://seatrial-store/main/mlflow"
    assert env["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert pod(profile="s3")["containers"][0]["envFrom"] == [{"secretRef": {"name": "seatrial-s3"}}]


def test_should_use_the_claim_that_is_there_if_existing_is_set() -> None:
    objects = chart.render({"mlflow": {"claim": {"existing": "old"}}}, profile="s3")
    assert not chart.names(objects, "PersistentVolumeClaim")


def test_should_end_the_old_server_before_the_new_one_starts() -> None:
    assert chart.find(chart.render(), "Deployment")["spec"]["strategy"] == {"type": "Recreate"}


def test_should_not_run_if_a_server_elsewhere_is_named() -> None:
    objects = chart.render({"mlflow": {"enabled": False, "externalUri": "https://mlflow.example"}})
    assert not chart.names(objects, "Deployment")
    assert "https://mlflow.example" in chart.find(objects, "RayService")["spec"]["serveConfigV2"]


def test_should_hold_its_node_if_budget_of_mlflow_is_on() -> None:
    assert "seatrial-mlflow" not in chart.names(chart.render(), "PodDisruptionBudget")
    assert chart.find(chart.render({"podDisruptionBudget": {"mlflow": True}}), "PodDisruptionBudget")["spec"]["minAvailable"] == 1


def test_should_give_a_slow_first_start_its_time() -> None:
    container = pod()["containers"][0]
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 120
    assert {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")} == {"/health"}

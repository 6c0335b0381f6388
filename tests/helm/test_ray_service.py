"""templates/ray-service"""

from __future__ import annotations

import pytest
import yaml

from tests.cluster import rendered
from tests.helm import chart

pytestmark = pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`")  # Ray's own


def service(**of: object) -> chart.Object:
    return chart.find(chart.render({"rayService": of}), "RayService")


def config(**of: object) -> chart.Object:
    return yaml.safe_load(service(**of)["spec"]["serveConfigV2"])  # type: ignore[no-any-return]


def test_should_start_the_application_with_arguments_that_it_takes() -> None:
    from serve.ray_service import Arguments

    (application,) = config(model="parcels", others=["letters"], alias="challenger", replicas=3)["applications"]
    module, _, function = application["import_path"].partition(":")
    assert callable(getattr(__import__(module, fromlist=[function]), function))
    given = Arguments.model_validate(application["args"])
    assert given.others == ("letters",)
    assert (given.model, given.alias, given.replicas, given.tracking_uri) == ("parcels", "challenger", 3, "http://seatrial-mlflow:5000")


def test_the_config_is_one_that_ray_serve_knows() -> None:
    from ray.serve.schema import ServeDeploySchema

    assert ServeDeploySchema.model_validate(config()).http_options.port == 8000


def test_should_ask_for_a_token_and_hold_no_replicas_on_the_head() -> None:
    cluster = service()["spec"]["rayClusterConfig"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_should_put_haproxy_in_front_on_every_node() -> None:
    for place, pod in rendered.pods([service(env={"MODE": "fast"})]):
        env = rendered.env(pod)
        assert (env["RAY_SERVE_ENABLE_HA_PROXY"], env["RAY_SERVE_THROUGHPUT_OPTIMIZED"], env["MODE"]) == ("1", "1", "fast"), place


def test_should_let_a_value_of_the_user_win_over_ours() -> None:
    pods = dict(rendered.pods([service(env={"RAY_SERVE_HAPROXY_NBTHREAD": "4"})]))
    assert rendered.env(pods["head"])["RAY_SERVE_HAPROXY_NBTHREAD"] == "4"


def test_should_mount_the_secret_with_keys_as_the_folder_that_the_service_reads() -> None:
    for place, pod in rendered.pods([service(keys={"secretName": "who-may-ask"})]):
        (container,) = pod["containers"]
        mounted = {mount["mountPath"]: mount for mount in container["volumeMounts"]}[rendered.env(pod)["SEATRIAL_SERVE_KEYS"]]
        (volume,) = [each for each in pod["volumes"] if each["name"] == mounted["name"]]
        assert (volume["secret"], mounted["readOnly"], "subPath" in mounted) == ({"secretName": "who-may-ask"}, True, False), place


def test_should_need_no_key_by_default() -> None:
    for place, pod in rendered.pods([service()]):
        assert "SEATRIAL_SERVE_KEYS" not in rendered.env(pod), place
        assert "keys" not in [volume["name"] for volume in pod["volumes"]], place


def test_should_hand_limits_to_the_application_as_it_reads_them() -> None:
    from serve.guard.settings import GuardSettings, from_environment

    limits = {"rate": 0.5, "burst": 7, "proxies": 1, "bodyMib": 4, "timeoutSeconds": 9, "waitMs": 1500000}
    for place, pod in rendered.pods([service(limits=limits, origins=["https://a.example", "https://b.example"])]):
        found = from_environment(rendered.env(pod))
        assert (found.rate, found.burst, found.proxies, found.body_mib, found.timeout_seconds, found.wait_ms) == tuple(limits.values()), place
        assert found.origins == "https://a.example,https://b.example", place
    (_, pod), *_ = rendered.pods([service()])
    assert from_environment(rendered.env(pod)) == GuardSettings(), "the chart's defaults are the application's"


def test_should_have_as_many_workers_as_asked() -> None:
    (group,) = service(workers=3)["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (3, 3, 3)


def test_should_keep_a_worker_while_nodes_are_drained_if_there_are_two() -> None:
    assert "seatrial-serve" not in chart.names(chart.render(), "PodDisruptionBudget"), "one worker that stays would hold its node for ever"
    budget = chart.find(chart.render({"rayService": {"workers": 2}}), "PodDisruptionBudget")
    assert budget["spec"]["minAvailable"] == 1, "Kubernetes takes no maxUnavailable for an operator's pods"
    _is_on_pods(budget["spec"]["selector"]["matchLabels"], "workers cpu", "worker")


def _is_on_pods(selector: chart.Object, place: str, node_type: str) -> None:
    group = service()["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
    assert selector.items() <= (group["template"]["metadata"]["labels"] | {"ray.io/node-type": node_type}).items(), place


def test_should_open_a_port_of_the_nodes_if_nodeport_is_set() -> None:
    assert "seatrial-serve-nodeport" not in chart.names(chart.render(), "Service")
    found = chart.find(chart.render({"rayService": {"nodePort": 30123}}), "Service", "seatrial-serve-nodeport")["spec"]
    assert [(port["nodePort"], port["targetPort"]) for port in found["ports"]] == [(30123, 8000)]
    assert found["selector"]["app.kubernetes.io/component"] == "serve"


def test_should_not_be_there_if_it_is_off() -> None:
    objects = chart.render({"rayService": {"enabled": False}})
    assert not chart.names(objects, "RayService")


@pytest.mark.parametrize(("tls", "secret"), [({}, "seatrial-tls"), ({"secretName": "mine"}, "mine")])
def test_should_lead_to_predictions_by_tls_if_ingress_is_on(tls: chart.Object, secret: str) -> None:
    values = {"ingress": {"enabled": True, "host": "a.example", "className": "nginx", "annotations": {"issuer": "le"}, "tls": tls}}
    found = chart.find(chart.render(values), "Ingress")
    assert found["spec"]["tls"] == [{"hosts": ["a.example"], "secretName": secret}]
    assert found["spec"]["ingressClassName"] == "nginx"
    assert found["metadata"]["annotations"] == {"issuer": "le"}
    (path,) = found["spec"]["rules"][0]["http"]["paths"]
    assert path["backend"]["service"] == {"name": "seatrial-serve-svc", "port": {"number": 8000}}


def test_should_answer_in_the_clear_if_ingress_tls_is_off() -> None:
    values = {"ingress": {"enabled": True, "host": "a.example", "tls": {"enabled": False}}}
    assert "tls" not in chart.find(chart.render(values), "Ingress")["spec"]


def test_labels_of_pods_do_not_change_with_a_version() -> None:
    group = service()["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
    labels = group["template"]["metadata"]["labels"]
    assert not {"helm.sh/chart", "app.kubernetes.io/version"} & set(labels), "an upgrade would make a second cluster for nothing"

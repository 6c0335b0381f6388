"""The client against a real HTTP server: what it sends, and what each failure becomes."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from typing import Any

import pytest

from cluster import kube_client
from cluster.kube_client import IN_CLUSTER, STRATEGIC, Api, connect, current_context
from cluster.kube_errors import Refused
from jobs.contracts.errors import RequestError, RunError, SeatrialError, SetupError
from tests.cluster.kube_server import CONTEXT, NAMESPACE, KubeServer, write_kubeconfig


@pytest.fixture
def api(server: KubeServer) -> Api:
    return connect("", NAMESPACE)


def config_map(name: str = "one", **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels}, "data": {"a": "1"}}


def test_the_current_context_is_meant_when_none_is_named(api: Api) -> None:
    assert api.context == CONTEXT
    assert api.version().startswith("v1.")


def test_create_says_whether_the_object_is_new(api: Api, server: KubeServer) -> None:
    made = api.create(config_map())
    assert made is not None
    assert made["metadata"]["uid"]
    assert api.create(config_map()) is None
    assert server.names("ConfigMap") == ["one"]


def test_a_dry_run_changes_nothing(api: Api, server: KubeServer) -> None:
    assert api.create(config_map(), dry_run=True) is not None
    assert server.names("ConfigMap") == []


def test_absence_is_a_value(api: Api) -> None:
    assert api.get("Job", "nobody") is None
    assert api.patch("Job", "nobody", {"spec": {"suspend": True}}) is None
    api.delete("Job", "nobody")


def test_list_selects_by_label(api: Api) -> None:
    for name, colour in (("one", "red"), ("two", "blue")):
        api.create(config_map(name, colour=colour))
    assert [each["metadata"]["name"] for each in api.list("ConfigMap", "colour=blue")] == ["two"]
    assert len(api.list("ConfigMap")) == 2


def test_a_patch_removes_what_is_null_and_a_strategic_one_adds_owners(api: Api) -> None:
    api.create(config_map())
    changed = api.patch("ConfigMap", "one", {"data": {"a": None, "b": "2"}})
    assert changed is not None
    assert changed["data"] == {"b": "2"}
    for uid in ("x", "y"):
        changed = api.patch("ConfigMap", "one", {"metadata": {"ownerReferences": [{"uid": uid}]}}, STRATEGIC)
    assert changed is not None
    assert [owner["uid"] for owner in changed["metadata"]["ownerReferences"]] == ["x", "y"]


def test_a_kind_that_the_cluster_does_not_know_is_an_empty_list_but_no_place_to_create(api: Api, server: KubeServer) -> None:
    server.serves_rayjobs = False
    assert api.list("RayJob") == []
    assert not api.serves("ray.io/v1")
    with pytest.raises(SetupError, match="KubeRay operator"):
        api.create({"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": {"name": "one"}})


def test_a_missing_namespace_is_named(server: KubeServer) -> None:
    api = connect("", "elsewhere")
    assert not api.has_namespace()
    with pytest.raises(SetupError, match='namespaces "elsewhere" not found'):
        api.create(config_map())


def test_who_may_not_see_namespaces_may_still_have_one(api: Api, server: KubeServer) -> None:
    server.refusals.append((r"GET /api/v1/namespaces/[^/]+$", 403, "namespaces is forbidden"))
    assert api.has_namespace()


@pytest.mark.parametrize(
    ("status", "message", "kind", "told"),
    [
        (403, 'pods is forbidden: User "me" cannot create', Refused, "cannot create"),
        (403, 'violates PodSecurity "restricted:latest": runAsNonRoot', Refused, "PodSecurity"),
        (409, "the object has been modified", RequestError, "modified"),
        (422, "spec.template: Invalid value", RequestError, "Invalid value"),
        (500, "etcdserver: request timed out", RunError, "etcdserver"),
    ],
)
def test_a_refusal_keeps_the_servers_words(api: Api, server: KubeServer, status: int, message: str, kind: type[SeatrialError], told: str) -> None:
    server.refusals.append(("POST .*configmaps", status, message))
    with pytest.raises(kind, match=told) as caught:
        api.create(config_map())
    assert type(caught.value) is kind
    assert CONTEXT in caught.value.where
    assert caught.value.hint


def test_a_busy_server_is_asked_again_where_that_is_harmless(api: Api, server: KubeServer) -> None:
    server.troubles = 2
    assert api.get("ConfigMap", "one") is None
    assert len(server.asked) == 3
    server.troubles = 1
    with pytest.raises(RunError, match="503"):
        api.create(config_map())
    assert len(server.asked) == 4, "a creation may have happened: it is not repeated"


def test_wrong_credentials(server: KubeServer, tmp_path: Path) -> None:
    address = connect("", NAMESPACE).server
    write_kubeconfig(tmp_path / "kubeconfig", address, token="stolen")
    with pytest.raises(SetupError, match="credentials") as caught:
        connect("", NAMESPACE).get("Pod", "one")
    assert "stolen" not in str(caught.value)


def test_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1")))
    with pytest.raises(SetupError, match="no answer") as caught:
        connect(CONTEXT, NAMESPACE).version()
    assert "127.0.0.1:1" in caught.value.where


def test_no_kubeconfig_and_no_such_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert current_context() == "current"
    with pytest.raises(SetupError, match="no way to the cluster"):
        connect("", NAMESPACE)
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1")))
    with pytest.raises(SetupError, match="elsewhere"):
        connect("elsewhere", NAMESPACE)


def test_the_first_file_of_several_that_names_a_context_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    files = [tmp_path / "none", write_kubeconfig(tmp_path / "a", "http://127.0.0.1:1", context="a"), write_kubeconfig(tmp_path / "b", "http://b", context="b")]
    monkeypatch.setenv("KUBECONFIG", ":".join(map(str, files)))
    assert current_context() == "a"


def test_in_a_pod_its_own_cluster_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("secret")
    monkeypatch.setattr(kube_client, "_TOKEN", tmp_path / "token")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert current_context() == IN_CLUSTER


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "kubernetes":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    for name in [each for each in sys.modules if each.partition(".")[0] == "kubernetes"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SetupError, match="kubernetes is not installed") as caught:
        connect(CONTEXT, NAMESPACE)
    assert "seatrial[kubernetes]" in caught.value.hint

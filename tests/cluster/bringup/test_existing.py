"""Somebody's cluster: named, asked about, changed only where Seatrial lives."""

from __future__ import annotations

import json

import pytest

from tests.cluster.bringup.conftest import Machine

ON = ("--provider", "existing")


@pytest.fixture
def theirs(machine: Machine) -> Machine:
    machine.change(clusters=["theirs"], running=True, current="gpu-cluster")
    return machine


def _with_operator(machine: Machine, version: str, crds: bool = True) -> None:
    body = {
        "metadata": {"name": "kuberay-operator", "namespace": "ray", "labels": {"app.kubernetes.io/name": "kuberay-operator"}, "generation": 1},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"image": f"quay.io/kuberay/operator:v{version}"}]}}},
        "status": {"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1},
    }
    objects = {"deployments/ray/kuberay-operator": {"release": "ray/theirs", "body": body}}
    for crd in ("rayclusters.ray.io", "rayjobs.ray.io", "rayservices.ray.io") if crds else ():
        objects[f"customresourcedefinitions//{crd}"] = {"release": "", "body": {"metadata": {"name": crd}}}
    machine.change(objects=objects)


def _with_object(machine: Machine, path: str, **metadata: object) -> None:
    _, namespace, name = path.split("/")
    body = {"metadata": {"name": name, "namespace": namespace, **metadata}, "status": {}}
    machine.change(objects={**machine.world["objects"], path: {"release": "", "body": body}})


def test_the_context_is_named_and_asked_about_before_anything_changes(theirs: Machine) -> None:
    answer = theirs.run("up", *ON, data="n\n")
    assert answer.returncode == 130
    assert "context gpu-cluster, server https://cluster.example.org:6443, namespace seatrial" in answer.stderr
    assert all(call.startswith("kubectl config ") for call in theirs.calls())


def test_without_a_terminal_nothing_is_assumed(theirs: Machine) -> None:
    assert theirs.run("up", *ON).returncode == 130
    assert theirs.objects() == []


def test_yes_is_for_scripts(theirs: Machine) -> None:
    answer = theirs.run("up", *ON, "--yes", "--output", "json")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["context"] == "gpu-cluster"
    assert all(" --context gpu-cluster " in call for call in theirs.calls("kubectl") if "config" not in call and "--client" not in call)
    assert not theirs.calls("docker")
    assert not theirs.calls("make")


def test_what_was_confirmed_is_what_is_changed(theirs: Machine) -> None:
    """Another terminal may switch the context while the question stands, so it is asked for once."""
    assert theirs.run("up", *ON, "--yes").returncode == 0
    assert len(theirs.calls("kubectl config current-context")) == 1


def test_the_next_commands_name_what_job_files_must_say(theirs: Machine) -> None:
    answer = theirs.run("up", *ON, "--yes", "--namespace", "team", "--image-ray", "r.example/ray:1", "--output", "json")
    (line,) = [each for each in json.loads(answer.stdout)["next"] if each.startswith("seatrial run")]
    assert line.endswith("--set targets.kubernetes.namespace=team --set targets.kubernetes.images.ray=r.example/ray:1")


def test_another_context_than_the_current_one(theirs: Machine) -> None:
    theirs.run("up", *ON, "--context", "staging", "--yes")
    spoken = [call for call in theirs.calls("kubectl") if "config" not in call and "--client" not in call]
    assert spoken
    assert all(" --context staging " in call for call in spoken)


def test_no_context_at_all(machine: Machine) -> None:
    answer = machine.run("up", *ON, "--yes")
    assert answer.returncode == 2
    assert "--provider kind" in answer.stderr


def test_a_context_only_for_existing(machine: Machine) -> None:
    assert machine.run("up", "--context", "staging").returncode == 2


def test_an_operator_of_theirs_is_used(theirs: Machine) -> None:
    _with_operator(theirs, "1.7.0")
    answer = theirs.run("up", *ON, "--yes")
    assert answer.returncode == 0, answer.stderr
    assert set(theirs.world["releases"]) == {"seatrial/seatrial"}


def test_an_operator_that_is_too_old(theirs: Machine) -> None:
    _with_operator(theirs, "1.3.2")
    answer = theirs.run("up", *ON, "--yes")
    assert answer.returncode == 2
    assert "KubeRay operator 1.3.2 is installed; Seatrial needs 1.6" in answer.stderr
    assert "ray/kuberay-operator" in answer.stderr
    assert theirs.world["releases"] == {}


def test_an_operator_where_one_may_not_look(theirs: Machine) -> None:
    _with_operator(theirs, "1.7.0")
    theirs.trouble("get deployments --all-namespaces", "Error from server (Forbidden): deployments.apps is forbidden", times=9)
    answer = theirs.run("up", *ON, "--yes")
    assert answer.returncode == 0, answer.stderr
    assert set(theirs.world["releases"]) == {"seatrial/seatrial"}


def test_where_one_may_not_look_helm_is_not_asked_either(theirs: Machine) -> None:
    """Its records are Secrets of the operator's namespace, which such an account cannot read."""
    _with_operator(theirs, "1.7.0")
    theirs.trouble("get deployments --all-namespaces", "Error from server (Forbidden): deployments.apps is forbidden", times=9)
    theirs.trouble("helm status kuberay-operator", "Error: query: failed to query with labels: secrets is forbidden", times=9)
    answer = theirs.run("up", *ON, "--yes")
    assert answer.returncode == 0, answer.stderr


def test_kinds_that_an_uninstalled_operator_has_left_do_not_count_as_one(theirs: Machine) -> None:
    _with_operator(theirs, "1.7.0")
    theirs.change(objects={path: entry for path, entry in theirs.world["objects"].items() if path.startswith("customresourcedefinitions/")})
    answer = theirs.run("up", *ON, "--yes")
    assert answer.returncode == 0, answer.stderr
    assert set(theirs.world["releases"]) == {"seatrial/seatrial", "kuberay-system/kuberay-operator"}


def test_a_release_that_somebody_works_on_is_left_alone(theirs: Machine) -> None:
    theirs.run("up", *ON, "--yes")
    releases = theirs.world["releases"]
    releases["seatrial/seatrial"]["status"] = "pending-upgrade"
    theirs.change(releases=releases)
    answer = theirs.run("up", *ON, "--yes", "--set", "rayService.replicas=2")
    assert answer.returncode == 1
    assert "helm rollback seatrial --kube-context gpu-cluster --namespace seatrial" in answer.stderr
    assert not theirs.calls("helm rollback")


def test_a_namespace_of_ours_has_the_strictest_level(theirs: Machine) -> None:
    theirs.run("up", *ON, "--yes")
    body = theirs.world["objects"]["namespaces//seatrial"]["body"]
    assert body["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_namespace_of_theirs_is_not_touched(theirs: Machine) -> None:
    _with_object(theirs, "namespaces//seatrial")
    theirs.run("up", *ON, "--yes")
    assert not [call for call in theirs.calls("kubectl") if " apply " in call]


def test_down_keeps_the_claim_and_says_so(theirs: Machine) -> None:
    theirs.run("up", *ON, "--yes")
    _with_object(theirs, "rayjobs/seatrial/flights-train", labels={"app.kubernetes.io/managed-by": "seatrial"})
    answer = theirs.run("down", *ON, "--yes")
    assert answer.returncode == 0, answer.stderr
    assert "the claim seatrial-data in seatrial: --purge removes it" in answer.stdout
    assert theirs.objects() == ["namespaces//seatrial", "persistentvolumeclaims/seatrial/seatrial-data"]
    assert theirs.world["releases"] == {}


def test_down_with_purge(theirs: Machine) -> None:
    theirs.run("up", *ON, "--yes")
    answer = theirs.run("down", *ON, "--yes", "--purge")
    assert "nothing is left" in answer.stdout
    assert theirs.objects() == []


def test_purge_leaves_a_namespace_of_theirs(theirs: Machine) -> None:
    _with_object(theirs, "namespaces//seatrial")
    theirs.run("up", *ON, "--yes")
    answer = theirs.run("down", *ON, "--yes", "--purge")
    assert "it was there before" in answer.stdout
    assert theirs.objects() == ["namespaces//seatrial"]


def test_down_leaves_an_operator_that_others_use(theirs: Machine) -> None:
    theirs.run("up", *ON, "--yes")
    _with_object(theirs, "rayclusters/research/big")
    answer = theirs.run("down", *ON, "--yes")
    assert "research/big" in answer.stdout
    assert "kuberay-system/kuberay-operator" in theirs.world["releases"]


def test_down_leaves_an_operator_of_theirs(theirs: Machine) -> None:
    _with_operator(theirs, "1.7.0")
    theirs.run("up", *ON, "--yes")
    theirs.run("down", *ON, "--yes", "--purge")
    assert "deployments/ray/kuberay-operator" in theirs.objects()
    assert "customresourcedefinitions//rayjobs.ray.io" in theirs.objects()


def test_down_asks(theirs: Machine) -> None:
    theirs.run("up", *ON, "--yes")
    answer = theirs.run("down", *ON, data="n\n")
    assert answer.returncode == 130
    assert "its data stays" in answer.stderr
    assert "seatrial/seatrial" in theirs.world["releases"]


def test_down_again_is_harmless(theirs: Machine) -> None:
    theirs.run("up", *ON, "--yes")
    theirs.run("down", *ON, "--yes", "--purge")
    assert theirs.run("down", *ON, "--yes", "--purge").returncode == 0

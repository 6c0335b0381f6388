"""`seatrial cluster up | status | down` on kind, from nothing, a second time, and after every kind of interruption."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.cluster.bringup.conftest import IMAGES, Machine


def test_up_makes_a_cluster_and_says_what_is_next(machine: Machine) -> None:
    answer = machine.run("up")
    assert answer.returncode == 0, answer.stderr
    assert machine.world["clusters"] == ["seatrial"]
    assert set(machine.world["nodes"]) == set(IMAGES)
    assert {key: release["status"] for key, release in machine.world["releases"].items()} == {
        "kuberay-system/kuberay-operator": "deployed",
        "seatrial/seatrial": "deployed",
    }
    assert "http://127.0.0.1:8000" in answer.stdout
    assert "seatrial run examples/flights/pipeline.yaml --on kubernetes" in answer.stdout


def test_the_order_of_what_is_done(machine: Machine) -> None:
    machine.run("up")
    wanted = ["kind create cluster", "kind load docker-image seatrial-ray", "helm upgrade --install kuberay-operator", "helm upgrade --install seatrial"]
    places = [next(number for number, call in enumerate(machine.calls()) if call.startswith(each)) for each in wanted]
    assert places == sorted(places)


def test_nothing_is_ever_applied_to_the_current_context(machine: Machine) -> None:
    machine.change(current="production")
    machine.run("up")
    spoken = [call for call in machine.calls("kubectl") if "version --client" not in call]
    assert spoken
    assert all(call.startswith("kubectl --context kind-seatrial ") for call in spoken)
    assert all("--kube-context kind-seatrial" in call for call in machine.calls("helm") if "version" not in call)


def test_a_second_up_finds_everything_done(up: Machine) -> None:
    answer = up.run("up")
    assert answer.returncode == 0, answer.stderr
    assert not [call for call in up.calls() if "kind create" in call or "helm upgrade" in call or call.startswith("make --directory")]


@pytest.mark.parametrize(
    "cut",
    ["kind create cluster", "kind load docker-image seatrial-spark", "helm upgrade --install kuberay", "kubectl .* wait", "helm upgrade --install seatrial"],
)
def test_up_goes_on_after_being_killed_anywhere(machine: Machine, cut: str) -> None:
    machine.trouble(cut)
    machine.run_until_killed("up")
    answer = machine.run("up")
    assert answer.returncode == 0, answer.stderr
    assert len(machine.world["releases"]) == 2


def test_a_cluster_that_was_cut_off_while_it_was_made_is_made_anew(machine: Machine) -> None:
    machine.trouble("kind create cluster")
    machine.run_until_killed("up")
    machine.run("up")
    assert len(machine.calls("kind create cluster")) == 2
    assert len(machine.calls("kind delete cluster")) == 1


def test_a_whole_cluster_is_never_made_anew(machine: Machine) -> None:
    machine.trouble("helm upgrade --install seatrial")
    machine.run_until_killed("up")
    machine.run("up")
    assert len(machine.calls("kind create cluster")) == 1
    assert not machine.calls("kind delete cluster")


@pytest.mark.parametrize("state", ["pending-install", "pending-upgrade"])
def test_a_release_whose_helm_was_killed_is_mended(up: Machine, state: str) -> None:
    releases = up.world["releases"]
    releases["seatrial/seatrial"]["status"] = state
    up.change(releases=releases)
    answer = up.run("up")
    assert answer.returncode == 0, answer.stderr
    assert up.world["releases"]["seatrial/seatrial"]["status"] == "deployed"


def test_a_stopped_node_is_started_again(up: Machine) -> None:
    up.change(running=False)
    answer = up.run("up")
    assert answer.returncode == 0, answer.stderr
    assert up.calls("docker start seatrial-control-plane")


def test_a_server_that_needs_a_moment_is_awaited(up: Machine) -> None:
    up.trouble("get --raw /readyz", "The connection to the server 127.0.0.1:6443 was refused", times=3)
    assert up.run("up").returncode == 0
    assert len([call for call in up.calls() if "/readyz" in call]) == 4


def test_a_second_up_leaves_the_current_context_alone(up: Machine) -> None:
    assert up.run("up").returncode == 0
    assert not up.calls("kind export kubeconfig")


def test_a_lost_kubeconfig_is_written_again(up: Machine) -> None:
    up.trouble("kubectl config get-contexts", "error: context kind-seatrial not found")
    assert up.run("up").returncode == 0
    assert up.calls("kind export kubeconfig")


def test_a_failure_is_told_with_the_command_and_its_own_words(machine: Machine) -> None:
    machine.trouble("helm upgrade --install seatrial", 'Error: INSTALLATION FAILED: values do not meet the schema: at "/mlflow": no such key')
    answer = machine.run("up")
    assert answer.returncode == 1
    assert "no such key" in answer.stderr
    assert "helm upgrade --install seatrial" in answer.stderr
    assert "next:" in answer.stderr


def test_a_known_cause_is_told_in_plain_words(machine: Machine) -> None:
    said = "Error: failed to create resource: pods is forbidden: exceeded quota: team, requested: limits.cpu=12, used: limits.cpu=4, limited: limits.cpu=10"
    machine.trouble("helm upgrade --install seatrial", said)
    assert "the namespace's quota 'team' is used up" in machine.run("up").stderr


def test_a_port_in_use_names_the_option(machine: Machine) -> None:
    machine.trouble("kind create cluster", "docker: Error response from daemon: driver failed: Bind for 127.0.0.1:8000 failed: port is already allocated.")
    answer = machine.run("up")
    assert answer.returncode == 1
    assert "--port" in answer.stderr
    assert machine.run("up", "--port", "8001").returncode == 0


def test_the_cluster_maps_the_port_and_the_store(machine: Machine) -> None:
    machine.run("up", "--port", "8123")
    (node,) = yaml.safe_load((machine.home / "clusters" / "kind-seatrial" / "kind.yaml").read_text())["nodes"]
    assert node["extraPortMappings"] == [{"containerPort": 30800, "hostPort": 8123, "listenAddress": "127.0.0.1", "protocol": "TCP"}]
    assert node["extraMounts"] == [{"hostPath": machine.world["store"], "containerPath": "/seatrial-store"}]
    assert "http://127.0.0.1:8123" in machine.run("up").stdout, "the port stays that of the first time"


def test_images_that_are_absent_are_built(machine: Machine) -> None:
    machine.change(docker={"seatrial-spark:0.1.0": IMAGES["seatrial-spark:0.1.0"]})
    assert machine.run("up").returncode == 0
    (build,) = machine.calls("make --directory")
    assert build.endswith(" image-ray")


def test_an_absent_image_of_others_is_not_built(machine: Machine) -> None:
    answer = machine.run("up", "--image-ray", "registry.example/team/ray:7")
    assert answer.returncode == 2
    assert "docker pull registry.example/team/ray:7" in answer.stderr


def test_a_rebuilt_image_is_sent_again(up: Machine) -> None:
    up.run("up", "--rebuild")
    assert up.world["nodes"] == {name: image["id"] for name, image in up.world["docker"].items()}


def test_the_chart_is_told_what_the_images_hold(machine: Machine) -> None:
    machine.run("up")
    values = yaml.safe_load((machine.home / "clusters" / "kind-seatrial" / "values.yaml").read_text())
    assert values["versions"]["ray"] == {"seatrial": "0.1.0", "ray": "2.60.0"}
    assert values["storage"] == {"claim": {"hostPath": "/seatrial-store"}}


@pytest.mark.parametrize("helm", ["3.19.0", "4.1.4"])
def test_changed_values_upgrade_the_release(up: Machine, helm: str) -> None:
    """Also where the operator has written into what the chart made, which Helm 4 would not touch again."""
    up.change(versions={**up.world["versions"], "helm": helm})
    answer = up.run("up", "--set", "rayService.replicas=2")
    assert answer.returncode == 0, answer.stderr
    (upgrade,) = up.calls("helm upgrade")
    assert upgrade.startswith("helm upgrade --install seatrial ")
    assert "--set rayService.replicas=2" in upgrade


def test_gpus_are_mounted_and_awaited(machine: Machine) -> None:
    machine.change(docker={})
    answer = machine.run("up", "--gpu")
    assert answer.returncode == 0, answer.stderr
    (node,) = yaml.safe_load((machine.home / "clusters" / "kind-seatrial" / "kind.yaml").read_text())["nodes"]
    assert {"hostPath": "/dev/null", "containerPath": "/var/run/nvidia-container-devices/all"} in node["extraMounts"]
    assert "2 x nvidia.com/gpu" in answer.stderr
    assert all("TORCH_BACKEND=cu128" in call for call in machine.calls("make --directory"))


def test_gpus_for_a_cluster_that_was_made_without(up: Machine) -> None:
    answer = up.run("up", "--gpu")
    assert answer.returncode == 2
    assert "seatrial cluster down" in answer.stderr


def test_a_profile_that_the_chart_has_not(machine: Machine) -> None:
    answer = machine.run("up", "--profile", "mars")
    assert answer.returncode == 2
    assert "kind, minikube" in answer.stderr


def test_status_before_during_and_after(machine: Machine) -> None:
    answer = machine.run("status", "--output", "json")
    assert answer.returncode == 1
    assert json.loads(answer.stdout)["up"] is False
    machine.run("up")
    answer = machine.run("status", "--output", "json")
    assert answer.returncode == 0, answer.stdout
    found = {part["name"]: part["state"] for part in json.loads(answer.stdout)["parts"]}
    assert found == dict.fromkeys(["cluster", "operator", "chart", "mlflow", "service", "claim seatrial-data"], "ok")
    machine.change(running=False)
    assert "it does not answer" in machine.run("status").stdout


def test_status_says_why_something_waits(up: Machine) -> None:
    objects = up.world["objects"]
    waiting = {"reason": "ErrImageNeverPull", "message": 'Container image "seatrial-ray:0.1.0" is not present with pull policy of Never'}
    objects["pods/seatrial/seatrial-worker"]["body"]["status"] = {"phase": "Pending", "containerStatuses": [{"name": "ray", "state": {"waiting": waiting}}]}
    objects["rayservices/seatrial/seatrial"]["body"]["status"] = {}
    up.change(objects=objects)
    answer = up.run("status")
    assert answer.returncode == 1
    assert "nobody answers yet" in answer.stdout
    assert "the image seatrial-ray:0.1.0 is not on the node" in answer.stdout


def test_down_leaves_nothing_but_the_data(up: Machine) -> None:
    store = up.home / "clusters" / "kind-seatrial" / "store"
    (store / "a-dataset").write_text("rows")
    answer = up.run("down")
    assert answer.returncode == 0, answer.stderr
    assert up.world["clusters"] == []
    assert str(store) in answer.stdout
    assert sorted(path.name for path in (up.home / "clusters").rglob("*") if path.is_file()) == ["a-dataset"]
    assert up.run("up").returncode == 0
    assert (store / "a-dataset").exists()


def test_down_with_purge_leaves_nothing_at_all(up: Machine) -> None:
    (up.home / "clusters" / "kind-seatrial" / "store" / "a-dataset").write_text("rows")
    answer = up.run("down", "--purge", "--yes")
    assert answer.returncode == 0, answer.stderr
    assert "nothing is left" in answer.stdout
    assert not list((up.home / "clusters").iterdir())


def test_down_again_is_harmless(up: Machine) -> None:
    up.run("down")
    assert up.run("down").returncode == 0


def test_purging_asks_first(up: Machine) -> None:
    assert up.run("down", "--purge", data="n\n").returncode == 130
    assert up.world["clusters"] == ["seatrial"]

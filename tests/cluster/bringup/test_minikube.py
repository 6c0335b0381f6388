"""The same three commands on minikube, as far as it differs from kind."""

from __future__ import annotations

from tests.cluster.bringup.conftest import IMAGES, Machine

ON = ("--provider", "minikube")


def test_up_and_a_second_time(machine: Machine) -> None:
    answer = machine.run("up", *ON)
    assert answer.returncode == 0, answer.stderr
    assert "port-forward service/seatrial-serve-svc 8000:8000" in answer.stdout
    machine.forget()
    assert machine.run("up", *ON).returncode == 0
    done = [call for call in machine.calls() if "minikube start" in call or "image load" in call or "helm upgrade" in call]
    assert not done, "everything was there"


def test_only_an_image_that_differs_is_sent(machine: Machine) -> None:
    machine.run("up", *ON)
    machine.change(docker={**machine.world["docker"], "seatrial-ray:0.1.0": {**IMAGES["seatrial-ray:0.1.0"], "id": "sha256:newer"}})
    machine.forget()
    machine.run("up", *ON)
    assert [call.split()[3] for call in machine.calls("minikube image load")] == ["seatrial-ray:0.1.0"]


def test_a_stopped_one_is_started(machine: Machine) -> None:
    machine.run("up", *ON)
    machine.change(running=False)
    machine.forget()
    assert machine.run("up", *ON).returncode == 0
    assert len(machine.calls("minikube start")) == 1
    assert not machine.calls("minikube delete")


def test_one_that_was_cut_off_while_it_was_made_is_made_anew(machine: Machine) -> None:
    machine.trouble("minikube start")
    machine.run_until_killed("up", *ON)
    assert machine.run("up", *ON).returncode == 0
    assert len(machine.calls("minikube delete")) == 1


def test_a_start_that_was_cut_off_later_deletes_nothing(machine: Machine) -> None:
    machine.run("up", *ON)
    machine.change(running=False)
    machine.trouble("minikube start")
    machine.run_until_killed("up", *ON)
    assert machine.run("up", *ON).returncode == 0
    assert not machine.calls("minikube delete")


def test_the_machine_can_be_made_larger_and_have_gpus(machine: Machine) -> None:
    answer = machine.run("up", *ON, "--cpus", "6", "--memory", "12g", "--gpu", "--timeout", "0.5")
    assert answer.returncode == 1, "no node offers a GPU here"
    (start,) = machine.calls("minikube start")
    assert {"--cpus=6", "--memory=12g", "--gpus=all", "--driver=docker", "--keep-context"} <= set(start.split())


def test_down_takes_the_data_along_and_asks(machine: Machine) -> None:
    machine.run("up", *ON)
    assert machine.run("down", *ON, data="n\n").returncode == 130
    assert machine.world["clusters"] == ["seatrial"]
    answer = machine.run("down", *ON, data="y\n")
    assert answer.returncode == 0, answer.stderr
    assert machine.world["clusters"] == []
    assert "nothing is left" in answer.stdout

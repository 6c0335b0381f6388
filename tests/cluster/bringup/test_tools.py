"""What is missing is said before anything is begun, all at once, with the command that installs it."""

from __future__ import annotations

import pytest

from cluster.bringup.tools import TOOLS
from tests.cluster.bringup.conftest import VERSIONS, Machine


def test_everything_that_is_missing_is_said_at_once(machine: Machine) -> None:
    for program in ("kind", "helm"):
        machine.lacks(program)
    answer = machine.run("up")
    assert answer.returncode == 2
    assert "kind is not installed; helm is not installed" in answer.stderr
    assert TOOLS["kind"].install() in answer.stderr
    assert TOOLS["helm"].install() in answer.stderr
    assert not machine.calls("kind create")


@pytest.mark.parametrize(("program", "old"), [("kind", "0.17.0"), ("kubectl", "1.21.4"), ("helm", "3.8.0")])
def test_a_tool_that_is_too_old(machine: Machine, program: str, old: str) -> None:
    machine.change(versions={**VERSIONS, program: old})
    answer = machine.run("up")
    assert answer.returncode == 2
    assert f"{program} {old} is older than" in answer.stderr


def test_versions_are_compared_as_numbers(machine: Machine) -> None:
    machine.change(versions={**VERSIONS, "kind": "0.100.0", "helm": "10.0.0"})
    assert machine.run("up").returncode == 0


def test_an_engine_that_does_not_run(machine: Machine) -> None:
    machine.change(daemon="")
    answer = machine.run("up")
    assert answer.returncode == 2
    assert "its engine does not answer" in answer.stderr
    assert "systemctl start docker" in answer.stderr


def test_only_the_providers_own_tools_are_needed(machine: Machine) -> None:
    for program in ("minikube", "make"):
        machine.lacks(program)
    assert "make is not installed" in machine.run("up").stderr
    machine.change(clusters=["theirs"], running=True, current="theirs")
    for program in ("kind", "docker"):
        machine.lacks(program)
    assert machine.run("up", "--provider", "existing", "--yes").returncode == 0


@pytest.mark.parametrize("system", ["Linux", "Darwin"])
def test_every_tool_says_how_it_is_installed(system: str) -> None:
    assert all(tool.install(system) for tool in TOOLS.values())

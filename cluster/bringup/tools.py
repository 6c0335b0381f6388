"""The programs that bring a cluster up: which versions will do, and what installs each."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cluster.bringup.runner import Done, Runner
from jobs.contracts.errors import SetupError

_MAC = "Darwin"


@dataclass(frozen=True)
class Tool:
    """``minimum``: the oldest release that has what is used here; ``why`` says what that is."""

    name: str
    minimum: tuple[int, int]
    why: str
    version: tuple[str, ...]  # arguments that make it print its version
    mac: str
    linux: str

    def install(self, system: str = "") -> str:
        return self.mac if (system or platform.system()) == _MAC else self.linux


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "docker",
            (23, 0),
            "BuildKit, which the Dockerfile needs",
            ("version", "--format", "{{.Server.Version}}"),
            "brew install --cask docker, then start Docker Desktop",
            "curl -fsSL https://get.docker.com | sh, then: sudo usermod -aG docker $USER, and log in again",
        ),
        Tool(
            "kind",
            (0, 24),
            "Kubernetes 1.31 and network policies that are enforced",
            ("version",),
            "brew install kind",
            "go install sigs.k8s.io/kind@latest, or the binary of https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
        ),
        Tool(
            "minikube",
            (1, 32),
            "--gpus with the docker driver",
            ("version", "--short"),
            "brew install minikube",
            "the binary or package of https://minikube.sigs.k8s.io/docs/start/",
        ),
        Tool(
            "kubectl",
            (1, 28),
            "Kubernetes allows a client one minor version of distance",
            ("version", "--client"),
            "brew install kubectl",
            "sudo snap install kubectl --classic, or the binary of https://kubernetes.io/docs/tasks/tools/",
        ),
        Tool(
            "helm",
            (3, 14),
            "charts with JSON Schema and a --description of a release",
            ("version", "--short"),
            "brew install helm",
            "sudo snap install helm --classic, or the binary of https://helm.sh/docs/intro/install/",
        ),
        Tool("make", (3, 81), "to build the images", ("--version",), "xcode-select --install", "sudo apt-get install make"),
    )
}


@dataclass(frozen=True)
class Found:
    """A tool as it is here. ``problem`` empty = it will do."""

    name: str
    version: str = ""
    problem: str = ""
    hint: str = ""


def install_hint(program: str) -> str:
    return TOOLS[program].install() if program in TOOLS else f"install {program}"


def look(runner: Runner, names: Iterable[str]) -> list[Found]:
    return [_look(runner, TOOLS[name]) for name in names]


def require(runner: Runner, names: Iterable[str]) -> list[Found]:
    """Errors: SetupError that names all that is missing or too old at once, each with the command that installs it."""
    found = look(runner, names)
    wrong = [each for each in found if each.problem]
    if wrong:
        hint = "\n        ".join(f"{each.name}: {each.hint}" for each in wrong)
        raise SetupError("; ".join(each.problem for each in wrong), where="this machine", hint=hint)
    return found


def _look(runner: Runner, tool: Tool) -> Found:
    try:
        done = runner.attempt(tool.name, *tool.version)
    except SetupError as absent:
        return Found(tool.name, problem=absent.what, hint=absent.hint)
    if not done.ok:
        return _broken(tool, done)
    version = re.search(r"\d+(?:\.\d+)+", done.out)
    if version is None:
        return Found(tool.name, problem=f"{tool.name} does not say its version", hint=tool.install())
    numbers = tuple(int(number) for number in version[0].split(".")[:2])
    if numbers < tool.minimum:
        wanted = ".".join(map(str, tool.minimum))
        return Found(tool.name, version[0], f"{tool.name} {version[0]} is older than {wanted} ({tool.why})", tool.install())
    return Found(tool.name, version[0])


def _broken(tool: Tool, done: Done) -> Found:
    told = (done.err or done.out).strip().splitlines()
    if tool.name == "docker" and "daemon" in done.err:
        hint = "start it: open -a Docker (macOS), sudo systemctl start docker (Linux); on Linux your user must be in the group docker"
        return Found(tool.name, problem="docker is installed, and its engine does not answer", hint=hint)
    return Found(tool.name, problem=f"{tool.name} does not work: {told[-1] if told else f'exit code {done.code}'}", hint=tool.install())

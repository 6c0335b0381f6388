"""A PATH on which the cluster's programs are scripted, and the command line in front of them."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jobs.control.cli import main
from tests.conftest import REPOSITORY

FAKE = Path(__file__).with_name("fake_tools.py")
PROGRAMS = ("docker", "kind", "minikube", "kubectl", "helm", "make")
VERSIONS = {"kind": "0.31.0", "minikube": "1.37.0", "kubectl": "1.35.2", "helm": "4.1.4"}
IMAGES = {f"seatrial-{each}:0.1.0": {"id": f"sha256:{each}", "versions": json.dumps({"seatrial": "0.1.0", "ray": "2.60.0"})} for each in ("ray", "spark")}


@dataclass(frozen=True)
class Machine:
    """One machine with the scripted programs; ``folder`` is where commands run."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / ".seatrial"

    @property
    def world(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "world.json").read_text()))

    def change(self, **fields: Any) -> None:
        (self.folder / "world.json").write_text(json.dumps({**self.world, **fields}))

    def trouble(self, match: str, err: str | None = None, times: int = 1) -> None:
        """The next calls that match fail with this sentence; without one they do their work, and then the caller is killed."""
        added = {"match": match, "times": times} | ({"err": err} if err is not None else {})
        self.change(troubles=[*self.world["troubles"], added])

    def forget(self) -> None:
        self.change(calls=[])

    def calls(self, begins: str = "") -> list[str]:
        return [call for call in self.world["calls"] if call.startswith(begins)]

    def objects(self) -> list[str]:
        return sorted(self.world["objects"])

    def lacks(self, program: str) -> None:
        (self.folder / "bin" / program).unlink()

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.folder / 'bin'}", "FAKE_WORLD": str(self.folder / "world.json"), "PYTHONPATH": str(REPOSITORY), "HOME": str(self.folder)}

    def run(self, *words: str, data: str = "") -> subprocess.CompletedProcess[str]:
        """The command line, in this process."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.chdir(self.folder)
            patch.setattr(sys, "stdin", io.StringIO(data))
            for name, value in self.environment.items():
                patch.setenv(name, value)
            code = main(["cluster", *words])
        return subprocess.CompletedProcess(words, int(code), out.getvalue(), err.getvalue())

    def run_until_killed(self, *words: str) -> None:
        """As a process of its own, which must die of a trouble without words."""
        argv = [sys.executable, "-m", "jobs.control.cli", "cluster", *words]
        ended = subprocess.run(argv, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=60)
        assert ended.returncode == -signal.SIGKILL, ended.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Everything is installed, both images are built, and there is no cluster."""
    return _make(tmp_path)


@pytest.fixture(scope="session")
def _once_up(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    machine = _make(tmp_path_factory.mktemp("bringup"))
    answer = machine.run("up")
    assert answer.returncode == 0, answer.stderr
    return machine


@pytest.fixture
def up(_once_up: Machine, machine: Machine) -> Machine:
    """The same, after `cluster up` on kind."""
    shutil.copytree(_once_up.home, machine.home, dirs_exist_ok=True)
    config = machine.home / "clusters" / "kind-seatrial" / "kind.yaml"
    for file in (machine.folder / "world.json", config):
        file.write_text((_once_up.folder / file.relative_to(machine.folder)).read_text().replace(str(_once_up.folder), str(machine.folder)))
    machine.forget()
    return machine


def _make(folder: Path) -> Machine:
    (binaries := folder / "bin").mkdir()
    script = binaries / "fake"
    # Without site-packages: it starts in a few hundredths of a second.
    script.write_text(f"#!{sys.executable} -SEs\n{FAKE.read_text()}")
    script.chmod(0o755)
    for program in PROGRAMS:
        (binaries / program).symlink_to(script)
    machine = Machine(folder)
    machine.home.mkdir()
    world = {
        "calls": [],
        "troubles": [],
        "versions": VERSIONS,
        "daemon": "28.5.1",
        "docker": IMAGES,
        "clusters": [],
        "nodes": {},
        "running": False,
        "releases": {},
        "objects": {},
        "current": "",
        "stuck": False,
        "short_watches": 0,
        "store": str(machine.home / "clusters" / "kind-seatrial" / "store"),
    }
    (folder / "world.json").write_text(json.dumps(world))
    return machine

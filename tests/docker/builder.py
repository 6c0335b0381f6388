"""Runs the Dockerfile's own steps without an engine: the paths of the image become folders, and uv is the one of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.docker.image_file import Stage, command, copied, stages

_FOLDERS = ("/opt/venv", "/project", "/wheel", "/jars")
_PYTHON = "/usr/local/bin/python"  # of the base image


class Builder:
    """One folder that plays the file system of every stage."""

    def __init__(self, repository: Path, root: Path) -> None:
        self._repository, self.root = repository, root
        self.stages = stages(repository / "Dockerfile")
        self.work = root / "build"
        self.work.mkdir(parents=True)

    @property
    def venv(self) -> Path:
        return self.root / "opt/venv"

    def copy(self, stage: Stage) -> None:
        """What the stage copies from the build context."""
        for value in stage.values("COPY"):
            source, places, target = copied(value)
            for place in places if not source else ():
                origin, destination = self._repository / place, self.work / (place if target == "./" else target)
                if origin.is_dir():
                    shutil.copytree(origin, destination, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
                else:
                    shutil.copyfile(origin, destination)

    def run(self, stage: Stage, env: dict[str, str] | None = None, only: str = "") -> subprocess.CompletedProcess[str]:
        """The stage's RUN steps, or the one that contains ``only``; the last answer. It stops where a build would."""
        answer = None
        for text in (command(value) for value in stage.values("RUN") if only in value):
            answer = subprocess.run(
                ["/bin/sh", "-c", self._here(text)], cwd=self.work, env=self._env(stage) | (env or {}), capture_output=True, text=True, check=False
            )
            if answer.returncode:
                break
        assert answer is not None, f"{stage.name} has no such step"
        return answer

    def merge_project(self) -> None:
        """`COPY --from=project /project /opt/venv`."""
        shutil.copytree(self.root / "project", self.venv, dirs_exist_ok=True)

    def python(self, *words: str, env: dict[str, str] | None = None) -> str:
        """Of the image, as its user would call it: nothing of this machine's environment reaches it."""
        wanted = {"PATH": f"{self.venv}/bin:/usr/bin:/bin", "HOME": str(self.root), **(env or {})}
        answer = subprocess.run([self.venv / "bin/python", *words], cwd=self.root, env=wanted, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def _here(self, text: str) -> str:
        for folder in _FOLDERS:
            text = text.replace(folder, f"{self.root}{folder}")
        return text.replace(_PYTHON, sys.executable)

    def _env(self, stage: Stage) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
        defaults = [value for each in (self.stages["builder"], stage) for value in each.values("ARG")]
        args = {name: value.strip('"') for name, _, value in (default.partition("=") for default in defaults)}
        image = dict(word.split("=", 1) for value in self.stages["builder"].values("ENV") for word in self._here(value).split())
        # The venv first, as in the image; then uv, which the builder stage installs.
        path = f"{self.venv}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {**kept, **args, **image, "PATH": path}

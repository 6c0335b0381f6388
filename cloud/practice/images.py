"""Container images without containers: a name stands for a Python environment and the programs that are first in its path.

Two are built in, ``seatrial-ray`` and ``seatrial-spark``: this very environment, with the entry points of the real images. Others are
added with ``seatrial practice image add``. An address in ECR, ACR or any registry resolves by its last part.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from jobs.contracts.errors import RequestError

_PROGRAMS = {"train": "cloud.containers.train", "serve": "cloud.containers.serve", "process": "cloud.containers.process"}
_ROOT = Path(__file__).parents[2]  # where the rooms are imported from: a checkout or site-packages


@dataclass(frozen=True)
class Image:
    """``bin`` (may be "") goes before the environment's own folder in PATH. ``added``: by the user, not built in."""

    name: str  # repository:tag
    python: str
    bin: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    kind: str = "seatrial"
    added: bool = False

    def variables(self) -> dict[str, str]:
        """What a process of a container of this image starts with, before the job's own variables."""
        folders = [
            *([self.bin] if self.bin else []),
            str(Path(self.python).parent),
            "/usr/local/sbin",
            "/usr/local/bin",
            "/usr/sbin",
            "/usr/bin",
            "/sbin",
            "/bin",
        ]
        return {"PATH": os.pathsep.join(folders), "HOME": os.environ.get("HOME", "/root"), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", **self.environment}


class Images:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "images.json"
        self._bin = folder / "bin"
        self._write_programs()

    def _write_programs(self) -> None:
        self._bin.mkdir(parents=True, exist_ok=True)
        for program, module in _PROGRAMS.items():
            script = self._bin / program
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
            script.chmod(0o755)

    def all(self) -> list[Image]:
        return [*self._built_in(), *self._added()]

    def _built_in(self) -> list[Image]:
        environment = {"PYTHONPATH": str(_ROOT)} | ({"JAVA_HOME": os.environ["JAVA_HOME"]} if "JAVA_HOME" in os.environ else {})
        names = [f"seatrial-{engine}:{version('seatrial')}" for engine in ("ray", "spark")]
        return [Image(name, sys.executable, str(self._bin), environment) for name in names]

    def _added(self) -> list[Image]:
        return [Image(**each) for each in json.loads(self._path.read_text())] if self._path.exists() else []

    def add(self, name: str, python: str, folder: str = "", environment: dict[str, str] | None = None) -> Image:
        """Register an image, or replace one of the same name.

        Errors: RequestError when the interpreter or the folder does not exist.
        """
        if not os.access(python, os.X_OK):
            raise RequestError("no such Python interpreter", where=python, hint="give the path of an environment's bin/python")
        if folder and not Path(folder).is_dir():
            raise RequestError("no such folder", where=folder, hint="--bin is a folder with the programs `train`, `serve` or `process`")
        # Not resolved: an environment's interpreter is a link, and what it links to knows nothing of the environment.
        image = Image(_tagged(name), os.path.abspath(python), os.path.abspath(folder) if folder else "", environment or {}, kind="user", added=True)
        kept = [each for each in self._added() if each.name != image.name]
        self._path.write_text(json.dumps([asdict(each) for each in [*kept, image]], indent=1))
        return image

    def remove(self, name: str) -> bool:
        kept = [each for each in self._added() if each.name != _tagged(name)]
        found = len(kept) < len(self._added())
        self._path.write_text(json.dumps([asdict(each) for each in kept], indent=1))
        return found

    def find(self, address: str) -> Image | None:
        """The image of an address such as ``123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/seatrial-ray:0.1.0``; None if unknown."""
        wanted = _tagged(address)
        by_name = {image.name: image for image in self.all()}
        return by_name.get(wanted) or by_name.get(wanted.rsplit("/", 1)[-1])

    def names(self) -> list[str]:
        return [image.name for image in self.all()]


def _tagged(address: str) -> str:
    """Without a digest (practice has no layers to check), with a tag."""
    address = address.split("@", 1)[0].removeprefix("docker://")
    last = address.rsplit("/", 1)[-1]
    return address if ":" in last else f"{address}:latest"

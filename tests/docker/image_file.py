"""The Dockerfile as its stages and instructions, in the Dockerfile's own order."""

from __future__ import annotations

import io
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from dockerfile_parse import DockerfileParser

IMAGES = ("ray", "spark")


@dataclass
class Stage:
    name: str
    source: str
    steps: list[tuple[str, str]] = field(default_factory=list)  # (instruction, the rest of its line)

    def values(self, instruction: str) -> list[str]:
        return [value for name, value in self.steps if name == instruction]

    def default(self, argument: str) -> str:
        found = next(value for value in self.values("ARG") if value.partition("=")[0] == argument)
        return found.partition("=")[2].strip('"')


def arguments(path: Path) -> dict[str, str]:
    """ARGs before the first stage."""
    return dict(value.split("=", 1) for name, value in _instructions(path)[: _first_stage(path)] if name == "ARG")


def stages(path: Path) -> dict[str, Stage]:
    found: dict[str, Stage] = {}
    for name, value in _instructions(path)[_first_stage(path) :]:
        if name == "FROM":
            source, _, label = value.partition(" AS ")
            found[label] = Stage(label, source)
        else:
            list(found.values())[-1].steps.append((name, value))
    return found


def copied(value: str) -> tuple[str, list[str], str]:
    """A COPY's stage ("" = the build context), sources and target."""
    words = shlex.split(value)
    places = [word for word in words if not word.startswith("--")]
    stage = next((word.partition("=")[2] for word in words if word.startswith("--from=")), "")
    return stage, places[:-1], places[-1]


def command(value: str) -> str:
    """A RUN's shell text without what only a builder understands."""
    return re.sub(r"^(--mount=\S+\s+)+", "", value)


def _instructions(path: Path) -> list[tuple[str, str]]:
    parser = DockerfileParser(fileobj=io.BytesIO(path.read_bytes()))
    return [(step["instruction"], step["value"]) for step in parser.structure if step["instruction"] != "COMMENT"]


def _first_stage(path: Path) -> int:
    return next(index for index, (name, _) in enumerate(_instructions(path)) if name == "FROM")

"""Versions of what two sides of a submission must agree on, compared before anything is sent and in the job's first second.

The submitting side puts its own into ``SEATRIAL_EXPECT_VERSIONS`` (JSON: name -> version); :func:`check` compares them with
what is installed where the job runs. Hand-over is argv and files, so another Python is only worth a warning.
``python -m jobs.contracts.versions`` prints what is installed: so one asks an image.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass

from jobs.contracts.errors import RequestError, SetupError

EXPECT = "SEATRIAL_EXPECT_VERSIONS"
SKEW = "version-skew"
PYTHON = "python"
DISTRIBUTIONS = {"seatrial": "seatrial", "ray": "ray", "spark": "pyspark", "torch": "torch"}

# How many numbers of a version must be equal. Ray's processes refuse every other release; Spark and torch keep their wire
# and file formats within a minor one. Seatrial's version is compared as a whole.
_NUMBERS = {"ray": 3, "spark": 2, "torch": 2, PYTHON: 2}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Difference:
    """One version that differs, and which side to change."""

    name: str
    what: str
    hint: str

    @property
    def is_fatal(self) -> bool:
        return self.name != PYTHON


def installed() -> dict[str, str]:
    """Name to version of what is installed here: seatrial, python, ray, spark, torch; nothing is imported."""
    found = {PYTHON: platform.python_version()}
    for name, distribution in DISTRIBUTIONS.items():
        try:
            found[name] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def differences(here: Mapping[str, str], there: Mapping[str, str], *, there_name: str = "the target") -> list[Difference]:
    """What the submitting side (``here``) and the side that runs the job do not share; what one side lacks is not compared."""
    return [
        Difference(name, f"the client has {name} {here[name]}, {there_name} {there[name]}", _hint(name, here[name], there[name]))
        for name in (*DISTRIBUTIONS, PYTHON)
        if name in here and name in there and _significant(name, here[name]) != _significant(name, there[name])
    ]


def check(env: Mapping[str, str] = os.environ) -> None:
    """In the job: compare what the submitting side expects with what is installed. A difference of Python is logged.

    Errors: SetupError that names every difference; RequestError when the variable cannot be read.
    """
    if not env.get(EXPECT):
        return
    found = differences(_expected(env[EXPECT]), installed())
    for difference in found:
        if not difference.is_fatal:
            log.warning("%s: %s", difference.what, difference.hint)
    if fatal := [difference for difference in found if difference.is_fatal]:
        raise SetupError("; ".join(each.what for each in fatal), where=SKEW, hint="; ".join(each.hint for each in fatal))


def _expected(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
        return {str(name): str(version) for name, version in found.items()}
    except (ValueError, AttributeError) as error:
        raise RequestError("the expected versions are no JSON object", where=EXPECT, hint='write for example {"ray": "2.60.0"}, or unset it') from error


def _significant(name: str, version: str) -> object:
    """What must be equal: the first numbers, so that a build such as "+cpu" is each machine's own matter; else all of it."""
    return re.findall(r"\d+", version)[: _NUMBERS[name]] if name in _NUMBERS else version


def _hint(name: str, here: str, there: str) -> str:
    if name == PYTHON:
        return "only code that needs one of them will notice, because jobs are handed over as files"
    if name == "seatrial":
        return f"use an image with seatrial {here} there, or install seatrial {there} here"
    wanted = ".".join(re.findall(r"\d+", there)[: _NUMBERS[name]]) + ("" if _NUMBERS[name] == 3 else ".*")
    return f'use an image with {name} {here.partition("+")[0]} there, or pip install "{DISTRIBUTIONS[name]}=={wanted}" here'


if __name__ == "__main__":
    print(json.dumps(installed()))

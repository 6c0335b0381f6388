"""Version skew between this machine and a target, found before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.contracts import versions
from jobs.control.backend import Cause

Versions = Mapping[str, str]  # name -> version, as jobs.contracts.versions.installed gives them


def compare(here: Versions, there: Versions, *, there_name: str = "the target") -> list[Cause]:
    """What must be changed, on one side or the other, before a job of ours can run there."""
    found = versions.differences(here, there, there_name=there_name)
    return [Cause(versions.SKEW, each.what, each.hint) for each in found if each.is_fatal]


def warnings(here: Versions, there: Versions, *, there_name: str = "the target") -> list[str]:
    """What differs and stops nothing."""
    found = versions.differences(here, there, there_name=there_name)
    return [f"{each.what}: {each.hint}" for each in found if not each.is_fatal]

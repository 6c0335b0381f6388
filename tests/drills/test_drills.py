"""Every drill can be found and tells what it is about; with --full each is performed."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from drills import on_kubernetes
from drills.__main__ import DRILLS, perform
from drills.story import Failed, Story

ROOT = Path(__file__).parents[2]
NO_DRILLS = {"__init__", "__main__", "sandbox", "story", "traffic", "voyage"}


def test_every_file_is_a_drill_that_is_listed_and_described() -> None:
    assert {path.stem for path in (ROOT / "drills").glob("*.py")} - NO_DRILLS == set(DRILLS)
    guide = (ROOT / "docs/guides/drills.md").read_text()
    for name in DRILLS:
        module = importlib.import_module(f"drills.{name}")
        assert module.BREAKS
        assert module.EXPECTS
        assert callable(module.drill)
        assert f"| `{name}` |" in guide


def test_a_drill_in_a_cluster_is_described_too() -> None:
    folder = ROOT / "drills/on_kubernetes"
    assert {path.stem for path in folder.glob("*.py")} - {"__init__", "harbour"} == set(on_kubernetes.DRILLS)
    guide = (ROOT / "docs/guides/drills.md").read_text()
    for name in on_kubernetes.DRILLS:
        module = importlib.import_module(f"drills.on_kubernetes.{name}")
        assert module.BREAKS
        assert module.EXPECTS
        assert callable(module.drill)
        assert f"| `{name}` |" in guide


def test_what_does_not_hold_ends_a_drill() -> None:
    told: list[str] = []
    story = Story(told.append)
    story.check(True, "good")
    with pytest.raises(Failed, match="bad\nbecause"):
        story.check(False, "bad", "because")
    assert told == ["    ok  good", "    BAD bad"]


def test_a_fault_counts_as_survived_only_when_it_recovered() -> None:
    story = Story(lambda _: None)
    with pytest.raises(Failed), story.fault("break"):
        story.check(False, "it holds")
    with story.fault("break"):
        pass
    assert (story.faults, story.survived, len(story.recoveries)) == (2, 1, 1)


def test_an_unknown_drill_is_refused_with_the_list() -> None:
    answer = subprocess.run([sys.executable, "-m", "drills", "sink"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert "kill_worker" in answer.stderr


@pytest.mark.full
@pytest.mark.parametrize("name", DRILLS)
def test_it_passes(name: str) -> None:
    verdict = perform(name)
    assert verdict.passed, verdict.error

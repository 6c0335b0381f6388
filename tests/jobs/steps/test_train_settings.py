"""The guide's table of a train step's parameters is that of the code."""

from __future__ import annotations

import re

from jobs.steps.settings import CHOICES, DEFAULTS
from tests.jobs.steps.training import REPOSITORY

GUIDE = REPOSITORY / "docs" / "guides" / "training.md"


def test_the_guide_lists_every_parameter_with_its_default_and_its_words() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([\w.]+)` \| (.*) \|$", GUIDE.read_text(), re.MULTILINE)
    shown = {name: str(default).lower().removesuffix(".0") for name, default in DEFAULTS.items()}
    assert {name: default for name, default, _ in rows} == shown
    meanings = {name: meaning for name, _, meaning in rows}
    for name, words in CHOICES.items():
        assert all(f"`{word}`" in meanings[name] for word in words if word != DEFAULTS[name])

"""Whole runs through the command line, in fresh directories, on the real engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from drills.sandbox import ROOT, free_port, make_sandbox, wait_until
from drills.sandbox import Sandbox as Place

__all__ = ["ROOT", "Place", "free_port", "place", "wait_until"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A fresh directory with the tiny workload and its table."""
    return make_sandbox(tmp_path)

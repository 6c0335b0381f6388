"""A case that breaks costs the other cases nothing."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from benchmarks import __main__ as program
from benchmarks.bench import Bench


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit("a server did not start")])
def test_a_case_that_breaks_is_told(error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(bench: Bench) -> None:
        raise error

    monkeypatch.setattr(importlib.import_module("benchmarks.cases.control"), "run", broken)
    assert not program._run("control", Bench(tmp_path))
    assert str(error) in capsys.readouterr().err

"""What is written: JSON for programs, a table for the README, a plot to look at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import machine, results
from benchmarks.bench import Bench
from benchmarks.comparing import Comparison, Figure
from benchmarks.measuring import Sample


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    samples = {"seatrial": [Sample(1.0, 10**9), Sample(1.1, 10**9)], "by hand": [Sample(2.0, 2 * 10**9), Sample(2.2, 2 * 10**9)]}
    bench.comparisons.append(Comparison("etl", "features", "s", "seatrial", samples, {"by hand": 1.5}))
    bench.figures.append(Figure("control", "plan", 0.25, "s", "at most 1"))
    return bench


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return machine.describe()


def test_the_machine_is_described(told: dict[str, Any]) -> None:
    assert told["cores"] >= 1
    assert told["packages"]["ray"]
    assert told["processor"] in machine.in_words(told)


def test_everything_is_written(bench: Bench, told: dict[str, Any], tmp_path: Path) -> None:
    files = results.write(bench, told, tmp_path / "out")
    assert [file.name for file in files] == ["bench.json", "bench.md", "bench.png"]
    facts = json.loads(files[0].read_text())
    assert facts["comparisons"][0]["speed"]["by hand"]["middle"] == pytest.approx(2)
    assert files[2].read_bytes().startswith(b"\x89PNG")


def test_the_table_says_what_was_demanded(bench: Bench, told: dict[str, Any]) -> None:
    text = results.table(bench, told)
    assert "| features | 1.05 s | by hand 2.1 s | 2.00 (2.00 to 2.00), demanded 1.50 | 1,000 / 2,000 MB |" in text
    assert "| plan | 0.25 s | | at most 1 | |" in text


def test_a_noisy_comparison_has_times_and_no_ratio(bench: Bench, told: dict[str, Any], tmp_path: Path) -> None:
    bench.comparisons[0].quiet = False
    assert "| features | 1.05 s | by hand 2.1 s | machine too noisy to compare |" in results.table(bench, told)
    assert [file.name for file in results.write(bench, told, tmp_path / "out")] == ["bench.json", "bench.md"]


def test_the_readme_keeps_all_but_the_table(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{results.BEGIN}old\n{results.END}after\n")
    results.into_readme("new\n", readme)
    results.into_readme("new\n", readme)
    assert readme.read_text() == f"before\n{results.BEGIN}new\n{results.END}after\n"

"""Ratios are taken within a round, in the right direction, and not at all on a noisy machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from benchmarks.comparing import Comparison, compare, interval, together
from benchmarks.measuring import Sample, python
from benchmarks.noise import Noise


def _each(values: list[float]) -> Callable[[], Sample]:
    left: Iterator[float] = iter(values)
    return lambda: Sample(next(left))


def _measured(unit: str) -> Comparison:
    comparison = Comparison("case", "title", unit, "ours")
    return compare(comparison, {"ours": _each([1, 2, 4]), "theirs": _each([2, 4, 8])}, 3, lambda text: None)


def test_of_seconds_less_is_faster() -> None:
    speed = _measured("s").speed("theirs")
    assert (speed.low, speed.middle, speed.high) == (2, 2, 2)


def test_of_rates_more_is_faster() -> None:
    assert _measured("rows/s").speed("theirs").middle == 0.5


def test_the_order_changes_from_round_to_round() -> None:
    seen: list[str] = []

    def contender(name: str) -> Callable[[], Sample]:
        def run() -> Sample:
            seen.append(name)
            return Sample(1)

        return run

    compare(Comparison("case", "title", "s", "a"), {name: contender(name) for name in "abc"}, 3, lambda text: None)
    assert "".join(seen) == "abcbcacab"


def test_an_interval_holds_its_median_and_grows_with_the_spread() -> None:
    narrow, wide = interval([1.0, 1.01, 0.99, 1.0, 1.02]), interval([0.5, 1.0, 2.0, 0.7, 1.6])
    assert narrow.low <= narrow.middle <= narrow.high
    assert wide.high - wide.low > narrow.high - narrow.low


def test_slow_probes_make_a_machine_noisy() -> None:
    assert Noise([1, 1, 1.1, 1, 1, 2]).is_quiet
    assert not Noise([1, 1, 1.9, 1, 1.5]).is_quiet


def test_no_ratio_is_told_of_a_noisy_machine() -> None:
    comparison = _measured("s")
    comparison.quiet = False
    assert comparison.facts()["speed"] == {}


def test_a_program_is_measured_with_its_children() -> None:
    child = "import time; kept = bytearray(150 << 20); time.sleep(0.8)"
    ended = python("-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); print('{{\"answer\": 4}}')")
    assert ended.seconds > 0.8
    assert ended.memory > 150 << 20
    assert ended.told() == {"answer": 4}


def test_a_program_that_fails_says_why() -> None:
    with pytest.raises(SystemExit, match="no such thing"):
        python("-c", "raise SystemExit('no such thing')")


def test_contenders_of_several_comparisons_are_measured_once_per_round() -> None:
    first, second = Comparison("case", "first", "s", "ours"), Comparison("case", "second", "rows/s", "ours")
    starts: list[str] = []

    def ours() -> list[Sample | None]:
        starts.append("ours")
        return [Sample(1), Sample(30)]

    def theirs() -> list[Sample | None]:
        starts.append("theirs")
        return [Sample(2), None]

    together([first, second], {"ours": ours, "theirs": theirs}, 2, lambda text: None)
    assert starts == ["ours", "theirs", "theirs", "ours"]
    assert (first.peers, second.peers) == (["theirs"], [])
    assert first.speed("theirs").middle == 2

"""What a case is given: how much to measure, where to work, and where results go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.comparing import Comparison, Figure, compare, together
from benchmarks.measuring import Sample


@dataclass
class Bench:
    work: Path  # emptied when the program ends
    full: bool = False
    rounds: int = 0  # 0 = each case's own number
    comparisons: list[Comparison] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)

    def repeats(self, short: int, full: int) -> int:
        return self.rounds or (full if self.full else short)

    def compare(self, comparison: Comparison, contenders: Mapping[str, Callable[[], Sample]], rounds: int) -> Comparison:
        self.comparisons.append(compare(comparison, contenders, rounds, self.tell))
        return comparison

    def together(self, comparisons: Sequence[Comparison], contenders: Mapping[str, Callable[[], Sequence[Sample | None]]], rounds: int) -> None:
        together(comparisons, contenders, rounds, self.tell)
        self.comparisons += comparisons

    def note(self, figure: Figure) -> None:
        self.figures.append(figure)
        self.tell(f"  {figure.title}: {figure.value:,.4g} {figure.unit}" + (f" ({figure.demand})" if figure.demand else ""))

    def tell(self, text: str) -> None:
        print(text, flush=True)

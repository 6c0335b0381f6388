"""Results as JSON, as a table in Markdown (the README's) and as a plot."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench
from benchmarks.comparing import Comparison
from benchmarks.machine import in_words

BEGIN, END = "<!-- bench: made by `make bench`, do not edit -->\n", "<!-- /bench -->\n"


def write(bench: Bench, machine: dict[str, Any], folder: Path) -> list[Path]:
    """``bench.json``, ``bench.md``, ``bench.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"machine": machine, "comparisons": [each.facts() for each in bench.comparisons], "figures": [asdict(each) for each in bench.figures]}
    (folder / "bench.json").write_text(json.dumps(facts, indent=1) + "\n")
    (folder / "bench.md").write_text(table(bench, machine))
    files = [folder / "bench.json", folder / "bench.md"]
    if any(each.quiet for each in bench.comparisons):
        _plot([each for each in bench.comparisons if each.quiet], in_words(machine), folder / "bench.png")
        files.append(folder / "bench.png")
    return files


def table(bench: Bench, machine: dict[str, Any]) -> str:
    lines = ["| what | Seatrial | beside | times as fast (95 %) | memory, Seatrial / beside |", "|---|---|---|---|---|"]
    lines += [row for each in bench.comparisons for row in _rows(each)]
    lines += [f"| {each.title} | {_number(each.value)} {each.unit} | | {each.demand} | |" for each in bench.figures]
    return "\n".join([*lines, "", f"Measured {in_words(machine)}."]) + "\n"


def into_readme(text: str, readme: Path) -> None:
    """Replace what stands between the marks."""
    whole = readme.read_text()
    head, _, rest = whole.partition(BEGIN)
    _, _, tail = rest.partition(END)
    readme.write_text(head + BEGIN + text + END + tail)


def _rows(each: Comparison) -> list[str]:
    rows = []
    for peer in each.peers:
        speed = "machine too noisy to compare"
        if each.quiet:
            speed = str(each.speed(peer)) + (f", demanded {each.demands[peer]:.2f}" if peer in each.demands else "")
        memory = f"{each.memory(each.ours) / 1e6:,.0f} / {each.memory(peer) / 1e6:,.0f} MB" if each.memory(each.ours) and each.memory(peer) else ""
        rows.append(f"| {each.title} | {_value(each, each.ours)} | {peer} {_value(each, peer)} | {speed} | {memory} |")
    return rows


def _value(each: Comparison, name: str) -> str:
    return f"{_number(each.median(name))} {each.unit}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _plot(comparisons: list[Comparison], caption: str, file: Path) -> None:
    """One line per peer: how many times as fast, with its interval; left of 1 is slower."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter

    entries = [(f"{each.title}\nbeside {peer}", each.speed(peer), each.demands.get(peer)) for each in comparisons for peer in each.peers]
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.45 * len(entries)))
    for place, (_, speed, demand) in enumerate(entries):
        axes.plot([speed.low, speed.high], [place, place], color="#1f5a85", linewidth=2)
        axes.plot(speed.middle, place, "o", color="#1f5a85")
        if demand:
            axes.plot(demand, place, "|", color="#b3541e", markersize=14, markeredgewidth=2)
    axes.axvline(1, color="#777777", linewidth=1)
    axes.set_yticks(range(len(entries)), [name for name, _, _ in entries], fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}" if f"{value:.0e}"[0] in "25" else ""))
    axes.set_xlabel("times as fast as the peer, with its 95 % interval; | is what is demanded")
    figure.text(0.01, 0.005, caption, fontsize=7, color="#555555")
    figure.tight_layout(rect=(0, 0.02, 1, 1))
    figure.savefig(file, dpi=130)
    plt.close(figure)

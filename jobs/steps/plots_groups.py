"""Plots by group: confusion at the threshold, importance by feature, quality by slice and by month."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch
from numpy.typing import NDArray

from jobs.contracts.bundle import Interval
from jobs.scoring.metrics import Floats
from jobs.scoring.tasks import Task
from jobs.steps.contenders import Contender
from jobs.steps.importance import Importance
from jobs.steps.plots import BLUE, GREEN, GREY, INK, NARROW, ORANGE, RED, WIDE, Plot, canvas, finish
from jobs.steps.slices import ENOUGH, Month, Slice

_FEATURES, _VALUES = 20, 24  # drawn at most: the tables and metrics.json have all
_PART_COLORS = {"train": GREY, "validation": ORANGE, "test": BLUE}


def confusion(labels: Floats, model: Contender, *, by_cost: bool = False) -> Plot:
    """What happened against what the model says, in four counted boxes. ``by_cost``: how the threshold was chosen."""
    flagged = model.scores >= model.threshold
    counts = np.array([[np.count_nonzero((labels == real) & (flagged == said)) for said in (0, 1)] for real in (0, 1)])
    shares = counts / counts.sum(axis=1, keepdims=True)
    with canvas(height=4.9) as (figure, [axes]):
        axes.grid(visible=False)
        for real in (0, 1):
            for said in (0, 1):
                color = GREEN if real == said else RED
                axes.add_patch(_cell(said, real, color, 0.12 + 0.5 * float(shares[real, said])))
                axes.text(said, real - 0.08, f"{counts[real, said]:,}", ha="center", va="center", fontsize=17, fontweight="bold")
                axes.text(said, real + 0.14, f"{shares[real, said]:.1%} of its row", ha="center", va="center")
        axes.set(xlim=(-0.5, 1.5), ylim=(1.5, -0.5), xticks=[0, 1], yticks=[0, 1])
        axes.set_xticklabels(["not flagged", "flagged"])
        axes.set_yticklabels(["negative", "positive"], rotation=90, va="center")
        axes.set(xlabel=f"What the model says at threshold {model.threshold:.3f}", ylabel="What happened")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        return finish(
            figure,
            "confusion",
            "Confusion at the threshold",
            alt=f"Of {counts[1].sum():,} positives {counts[1, 1]:,} are flagged and {counts[1, 0]:,} missed; "
            f"of {counts[0].sum():,} negatives {counts[0, 1]:,} are flagged by mistake.",
            what="All test rows in four boxes: what happened (rows) against what the model says once its probability is cut into yes and no (columns).",
            good="Most of each row in its green box. The threshold was chosen on the validation part "
            + (
                "for the lowest cost: the cheaper mistake may be the frequent one."
                if by_cost
                else "for the best F1; move it if misses and false alarms cost you differently."
            ),
        )


def importance(importances: Sequence[Importance], task: Task) -> Plot | None:
    """The most important features; None when importance could not be measured."""
    if not importances:
        return None
    shown, cost = importances[:_FEATURES], _lost(task)
    with canvas(height=1.2 + 0.24 * len(shown)) as (figure, [axes]):
        places, means = np.arange(len(shown)), np.array([one.mean for one in shown])
        reach = np.array([[one.mean - one.low for one in shown], [one.high - one.mean for one in shown]])
        axes.barh(places, means, color=BLUE, alpha=0.8, height=0.65)
        axes.errorbar(means, places, xerr=np.maximum(reach, 0), fmt="none", ecolor=INK, elinewidth=1.2, capsize=2)
        axes.set_yticks(places, [one.feature for one in shown])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set(xlabel=f"{cost} when shuffled: mean and range")
        best = ", ".join(f"{one.feature} {one.mean:.4f}" for one in shown[:5])
        return finish(
            figure,
            "importance",
            "Permutation importance",
            alt=f"{cost} per shuffled feature, the largest first: {best}.",
            what="One feature at a time is shuffled among the rows, which breaks its link to the outcome; the bar is how much quality that costs.",
            good="Features you would expect on top. One feature far above all others may know the answer in advance (leakage); "
            "features that share a story share its credit.",
        )


def _lost(task: Task) -> str:
    return f"{'Rise' if task.better(task.primary) < 0 else 'Fall'} of {task.titles[task.primary]}"


def by_slice(slices: Sequence[Slice], model: Contender, task: Task) -> Plot | None:
    """The task's first metric per value, one panel per column; None when no slice has enough rows."""
    metric, title, sign = task.primary, task.titles[task.primary], task.better(task.primary)
    groups = {column: [one for one in found if one.metrics][:_VALUES] for column, found in groupby(slices, lambda one: one.column)}
    groups = {column: _in_order(found, metric, sign) for column, found in groups.items() if found}
    if not groups:
        return None
    longest = max(len(found) for found in groups.values())
    with canvas(columns=len(groups), width=NARROW if len(groups) == 1 else WIDE, height=1.3 + 0.22 * longest, sharex=True) as (figure, panels):
        for axes, (column, found) in zip(panels, groups.items(), strict=True):
            _slices_of(axes, column, found, metric, model.metrics[metric].value)
        figure.supxlabel(f"{title} of the model with its 95 % interval; dotted: all test rows", fontsize=10)
        worst = min((one for found in groups.values() for one in found), key=lambda one: sign * one.metrics[metric].value)
        return finish(
            figure,
            "slices",
            "Quality by slice",
            alt=f"{title} by {', '.join(groups)}. The {'lowest' if sign > 0 else 'highest'} is {worst.column} {worst.value} "
            f"with {worst.metrics[metric].value:.3f}.",
            what="The same measure within one group at a time: an average can hide a group that the model serves badly.",
            good=f"Dots near the dotted line. A short interval far to the {'left' if sign > 0 else 'right'} is a real weakness; "
            "a long interval says only that the group has few rows.",
        )


def by_month(months: Sequence[Month], task: Task) -> Plot | None:
    """What happened, what was said and their difference over time; None when no month has enough rows."""
    observed, said = task.observed.lower(), task.said.lower()
    months = [one for one in months if one.rows >= ENOUGH]
    if not months:
        return None
    places = np.arange(len(months))
    with canvas(rows=2, width=WIDE, height=4.8, sharex=True) as (figure, [rates, gaps]):
        _bars(rates, places, [one.rate for one in months], INK, observed)
        rates.plot(places, [one.mean for one in months], "D", color=BLUE, markersize=6, label=f"{said} of the model")
        _bars(gaps, places, [one.gap for one in months], BLUE, f"{said} - {observed}")
        if task.is_share:
            gaps.plot(places, [one.calibration_error or 0.0 for one in months], "s", color=RED, markersize=5, label="calibration error")
        gaps.axhline(0, color=GREY, linewidth=1, linestyle=":")
        for part, found in groupby(enumerate(months), lambda pair: pair[1].part):
            positions = [position for position, _ in found]
            for axes in (rates, gaps):
                axes.axvspan(positions[0] - 0.5, positions[-1] + 0.5, color=_PART_COLORS[part], alpha=0.10, linewidth=0)
            rates.text(positions[0] - 0.42, 0.98, part, transform=rates.get_xaxis_transform(), va="top", fontweight="bold")
        rates.set(ylabel="Share of positives" if task.name == "binary" else task.observed, xlim=(-0.5, len(months) - 0.5))
        gaps.set(ylabel="Error")
        gaps.set_xticks(places, [one.month for one in months], rotation=0 if len(months) <= 16 else 90)
        rates.margins(y=0.25)
        for axes in (rates, gaps):
            axes.legend(loc="best", ncols=2)
        worst = max(months, key=lambda one: abs(one.gap.value))
        return finish(
            figure,
            "months",
            "Rate and calibration by month" if task.is_share else "Observed and predicted by month",
            alt=f"{task.observed} and {'mean predicted probability' if task.name == 'binary' else said} in {len(months)} months. "
            f"The largest gap is {worst.gap.value:+.3f} in {worst.month} ({worst.part}).",
            what="Does the world change over time, and does the model follow? "
            "Above: what happened and what was predicted; below: the difference, zero is right. "
            f"Bars are 95 % intervals; months with fewer than {ENOUGH} rows are left out.",
            good="Diamonds on the dots in every shaded part. "
            "A gap in the test months alone means that those months differ from what the model has seen: retrain, or expect it.",
        )


def _cell(x: int, y: int, color: str, alpha: float) -> FancyBboxPatch:
    return FancyBboxPatch((x - 0.44, y - 0.44), 0.88, 0.88, boxstyle="round,pad=0,rounding_size=0.06", color=color, alpha=alpha, linewidth=0)


def _in_order(found: list[Slice], metric: str, sign: float) -> list[Slice]:
    """Numbers by size, names by quality."""
    numeric = all(one.value.lstrip("-").isdigit() for one in found)
    return sorted(found, key=lambda one: float(one.value) if numeric else -sign * one.metrics[metric].value)


def _slices_of(axes: Axes, column: str, found: list[Slice], metric: str, overall: float) -> None:
    places = np.arange(len(found))
    intervals = [one.metrics[metric] for one in found]
    reach = [[one.value - one.low for one in intervals], [one.high - one.value for one in intervals]]
    axes.axvline(overall, color=GREY, linestyle=":", linewidth=1.2)
    axes.errorbar([one.value for one in intervals], places, xerr=np.maximum(reach, 0), fmt="o", color=BLUE, markersize=5, elinewidth=1.4, capsize=2)
    axes.set_yticks(places, [one.value for one in found])
    axes.set(title=column, ylim=(len(found) - 0.4, -0.6))
    axes.grid(visible=False, axis="y")


def _bars(axes: Axes, places: NDArray[np.int64], intervals: Sequence[Interval], color: str, label: str) -> None:
    values = np.array([one.value for one in intervals])
    reach = np.array([[one.value - one.low for one in intervals], [one.high - one.value for one in intervals]])
    axes.errorbar(places, values, yerr=np.maximum(reach, 0), fmt="o", color=color, markersize=5, elinewidth=1.4, capsize=3, label=label)

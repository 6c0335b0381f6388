"""Plots over the whole range of scores: ROC, precision and recall, calibration, and learning curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from jobs.scoring.metrics import BINS, Floats, Ranking, bin_of
from jobs.steps.contenders import CONSTANT, Contender
from jobs.steps.learning_curves import Curves
from jobs.steps.plots import BLUE, GREY, ORANGE, STYLES, Plot, canvas, finish
from jobs.steps.slices import wilson

_POINTS = 400  # of a curve: more than a screen shows, few enough for a small file
_ENOUGH = 10  # rows of a calibration bin below which its rate is noise


def roc(labels: Floats, contenders: Sequence[Contender]) -> Plot:
    with canvas() as (figure, [axes]):
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="guessing 0.500")
        for one in _models(contenders):
            hits, misses = Ranking(labels, one.scores).cumulative()
            rows = _thinned(len(hits))
            axes.plot(np.append(0, misses[rows] / misses[-1]), np.append(0, hits[rows] / hits[-1]), label=_label(one, "roc_auc"), **STYLES[one.role])
        model = contenders[0]
        flagged = model.scores >= model.threshold
        point = float(flagged[labels == 0].mean()), float(flagged[labels == 1].mean())
        axes.plot(*point, "o", color=BLUE, markersize=8, markeredgecolor="white", zorder=5, label=f"threshold {model.threshold:.3f}")
        axes.set(xlabel="False positive rate: share of negatives flagged", ylabel="True positive rate: share of positives found", xlim=(0, 1), ylim=(0, 1.01))
        axes.legend(loc="lower right")
        return finish(
            figure,
            "roc",
            "ROC curve",
            alt=f"ROC curves on the test rows. {_areas(contenders, 'roc_auc')}. "
            f"At its threshold the model finds {point[1]:.0%} of the positives and flags {point[0]:.0%} of the negatives.",
            what="Every possible threshold is one point: how many positives are found against how many negatives are flagged by mistake.",
            good="A curve towards the upper left; the dotted diagonal is a coin flip. "
            "The area under the curve is the chance that a positive row outscores a negative one.",
        )


def precision_recall(labels: Floats, contenders: Sequence[Contender]) -> Plot:
    rate = float(labels.mean())
    with canvas() as (figure, [axes]):
        axes.axhline(rate, color=GREY, linewidth=1, linestyle=":", label=f"guessing {rate:.3f}")
        for one in _models(contenders):
            hits, misses = Ranking(labels, one.scores).cumulative()
            rows = _thinned(len(hits), start=min(50, len(hits) - 1))  # the first few rows are noise: precision of a handful
            axes.plot(hits[rows] / hits[-1], hits[rows] / (hits[rows] + misses[rows]), label=_label(one, "average_precision"), **STYLES[one.role])
        axes.set(xlabel="Recall: share of positives found", ylabel="Precision: share of flags that are right", xlim=(0, 1), ylim=(0, 1.01))
        axes.legend(loc="upper right")
        return finish(
            figure,
            "precision-recall",
            "Precision and recall",
            alt=f"Precision-recall curves on the test rows. {_areas(contenders, 'average_precision')}; guessing gives {rate:.3f}.",
            what="What a flag is worth: lowering the threshold finds more positives (to the right) and makes more of the flags wrong (down).",
            good="A curve that stays high on its way to the right. The dotted line is the rate of positives, which a guess reaches.",
        )


def calibration(labels: Floats, contenders: Sequence[Contender]) -> Plot:
    model = contenders[0]
    with canvas(rows=2, height=4.9, sharex=True, height_ratios=[3, 1]) as (figure, [axes, counts]):
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="perfect")
        for one in _models(contenders):
            means, rates, reach = _bins(labels, one.scores)
            axes.plot(means, rates, marker="o", markersize=4, label=f"{one.role}, error {one.metrics['calibration_error'].value:.3f}", **STYLES[one.role])
            if one is model:
                axes.errorbar(means, rates, yerr=reach, fmt="none", ecolor=BLUE, capsize=2, elinewidth=1.2)
        counts.hist(model.scores, bins=2 * BINS, range=(0, 1), color=BLUE, alpha=0.75)
        axes.set(ylabel="Observed rate", ylim=(0, 1))
        counts.set(xlabel="Predicted probability", ylabel="Test rows", xlim=(0, 1))
        axes.legend(loc="upper left")
        return finish(
            figure,
            "calibration",
            "Calibration",
            alt=f"Observed rate against predicted probability in {BINS} bins, with 95 % intervals, above a histogram of the probabilities. "
            f"{_areas(contenders, 'calibration_error')}.",
            what="Among all rows given, say, 30 %, how many were positive? One dot per bin of probability, bars show the model's 95 % intervals, "
            f"the histogram shows where its rows are. Bins with fewer than {_ENOUGH} rows are left out.",
            good="Dots on the dotted line: then a probability can be taken at its word. Above the line the model is too low, below it too high.",
        )


def learning(curves: Curves) -> Plot | None:
    """One panel per quantity; None when the training step left no curves."""
    if not curves:
        return None
    names = sorted(curves, key=lambda name: (name != "loss", name))[:2]
    with canvas(rows=len(names), height=1.0 + 2.4 * len(names), sharex=True) as (figure, panels):
        for axes, name in zip(panels, names, strict=True):
            for part, color, dashes in (("train", ORANGE, "--"), ("validation", BLUE, "-")):
                if points := curves[name].get(part):
                    axes.plot(*zip(*points, strict=True), color=color, linestyle=dashes, marker="o", markersize=4, label=part)
            axes.set(ylabel=name.replace("_", " "))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend()
        panels[-1].set_xlabel("Epoch")
        return finish(
            figure,
            "learning",
            "Learning curves",
            alt=f"Training history by epoch: {', '.join(_history(curves, name) for name in names)}.",
            what="One pass over the training rows is an epoch; after each, the model was measured on rows that it learns from and on rows that it never sees.",
            good="Both losses fall and flatten out. A validation loss that rises while the training loss falls means the model memorises.",
        )


def _models(contenders: Sequence[Contender]) -> list[Contender]:
    """Contenders that have a curve: one constant score has a single point."""
    return [one for one in contenders if one.name != CONSTANT]


def _label(one: Contender, metric: str) -> str:
    return f"{one.role} {one.metrics[metric].value:.3f}"


def _areas(contenders: Sequence[Contender], metric: str) -> str:
    names = {"roc_auc": "Area under the curve", "average_precision": "Average precision", "calibration_error": "Expected calibration error"}
    return f"{names[metric]}: " + ", ".join(_label(one, metric) for one in contenders)


def _history(curves: Curves, name: str) -> str:
    return " and ".join(f"{part} {name} from {points[0][1]:.4g} to {points[-1][1]:.4g}" for part, points in curves[name].items())


def _thinned(size: int, start: int = 0) -> NDArray[np.int64]:
    return np.unique(np.linspace(start, size - 1, _POINTS).astype(np.int64))


def _bins(labels: Floats, scores: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean probability [b], observed rate [b] and its Wilson reach (below, above) [2, b] of every bin with enough rows."""
    binned = bin_of(scores)
    rows = np.bincount(binned, minlength=BINS)
    used = np.flatnonzero(rows >= _ENOUGH)
    hits, sums = np.bincount(binned, labels, BINS)[used], np.bincount(binned, scores, BINS)[used]
    found = [wilson(int(hit), int(count)) for hit, count in zip(hits, rows[used], strict=True)]
    reach = np.array([[one.value - one.low for one in found], [one.high - one.value for one in found]])
    return sums / rows[used], hits / rows[used], np.maximum(reach, 0)

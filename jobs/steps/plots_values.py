"""Plots of predicted numbers: prediction against what happened, and the errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jobs.scoring.metrics import Floats
from jobs.steps.contenders import CONSTANT, Contender
from jobs.steps.plots import BLUE, GREY, ORANGE, STYLES, Plot, canvas, finish

_GROUPS = 10  # of equally many rows, by prediction
_POINTS = 5_000  # drawn at most
_TAILS = (0.5, 99.5)  # per cent: what lies beyond is not drawn, or one row would set the scale


def agreement(labels: Floats, model: Contender, unit: str) -> Plot:
    """Every row as a point, and the mean label in ten groups of rows by prediction."""
    chosen = np.linspace(0, len(labels) - 1, min(len(labels), _POINTS)).astype(np.int64)
    groups = [group for group in np.array_split(np.argsort(model.scores, kind="stable"), _GROUPS) if len(group)]
    means = np.array([[model.scores[group].mean(), labels[group].mean()] for group in groups])
    low, high = np.percentile(np.concatenate([labels, model.scores]), _TAILS)
    with canvas(height=4.9) as (figure, [axes]):
        axes.scatter(model.scores[chosen], labels[chosen], s=6, color=BLUE, alpha=0.25, linewidths=0, label="test rows")
        axes.plot([low, high], [low, high], color=GREY, linewidth=1, linestyle=":", label="perfect")
        axes.plot(means[:, 0], means[:, 1], "D-", color=ORANGE, markersize=6, label="mean of a tenth of the rows")
        axes.set(xlabel=_with(unit, "Prediction"), ylabel=_with(unit, "What happened"), xlim=(low, high), ylim=(low, high))
        axes.legend(loc="upper left")
        return finish(
            figure,
            "agreement",
            "Predicted and observed",
            alt=f"Label against prediction. In ten groups by prediction the mean label goes from {means[0, 1]:.3g} to {means[-1, 1]:.3g} "
            f"where the mean prediction goes from {means[0, 0]:.3g} to {means[-1, 0]:.3g}.",
            what="Every test row by what the model says (to the right) and what happened (up); diamonds are means of a tenth of the rows each.",
            good="Diamonds on the dotted line: then a prediction is right on average. A narrow cloud means that it is also right row by row.",
        )


def errors(labels: Floats, contenders: Sequence[Contender], unit: str) -> Plot:
    """How far off each model is, as the share of rows within a distance."""
    shares = np.linspace(0, 1, 200)
    with canvas() as (figure, [axes]):
        for one in contenders:
            distances = np.quantile(np.abs(one.scores - labels), shares)
            name = one.role if one.name != CONSTANT else f"{one.role}, a constant"
            axes.plot(distances, shares, label=f"{name}, MAE {one.metrics['mae'].value:.3g}", **STYLES[one.role])
        largest = max(float(np.quantile(np.abs(one.scores - labels), 0.98)) for one in contenders)
        axes.set(xlabel=_with(unit, "Distance between prediction and label"), ylabel="Share of test rows within it", xlim=(0, largest or 1.0), ylim=(0, 1.01))
        axes.legend(loc="lower right")
        halves = ", ".join(f"{one.role} {float(np.median(np.abs(one.scores - labels))):.3g}" for one in contenders)
        return finish(
            figure,
            "errors",
            "Errors",
            alt=f"Share of test rows within a distance. Half of the rows lie within: {halves}.",
            what="For every distance, how many rows the model misses by no more than that.",
            good="A curve that rises early: most rows are close. Where two curves cross, each model is better for some of the rows.",
        )


def _with(unit: str, text: str) -> str:
    return f"{text} ({unit})" if unit else text

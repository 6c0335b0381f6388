"""Plots of a classifier of several classes: what was taken for what, and whether its confidence is earned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jobs.scoring.class_metrics import correct
from jobs.scoring.metrics import BINS, Floats, bin_of
from jobs.steps.contenders import CONSTANT, Contender
from jobs.steps.plots import BLUE, GREY, NARROW, STYLES, WIDE, Plot, canvas, finish

_MOST = 40  # classes drawn by name; of more only the colours
_ENOUGH = 10  # rows of a bin below which its share is noise


def confusion(labels: Floats, model: Contender, classes: Sequence[str]) -> Plot:
    """Rows by what they are, columns by what the model says; shares of each row."""
    count, said = len(classes), model.scores.argmax(axis=1)
    counts = np.bincount(labels.astype(np.int64) * count + said, minlength=count * count).reshape(count, count)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    wrong = counts - np.diag(np.diag(counts))
    real, taken = np.unravel_index(int(wrong.argmax()), wrong.shape)
    with canvas(width=NARROW if count <= 12 else WIDE, height=4.9 if count <= 12 else 9.0) as (figure, [axes]):
        axes.grid(visible=False)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        if count <= _MOST:
            axes.set_xticks(range(count), classes, rotation=90 if max(map(len, classes)) > 3 else 0)
            axes.set_yticks(range(count), classes)
        for row, column in zip(*np.nonzero(counts), strict=True) if count <= 20 else ():
            color = "white" if shares[row, column] > 0.5 else GREY
            axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", fontsize=8, color=color)
        axes.set(xlabel="What the model says", ylabel="What it is")
        return finish(
            figure,
            "confusion",
            "Confusion",
            alt=f"Of {len(labels):,} test rows {int(np.diag(counts).sum()):,} are named rightly. "
            f"The most frequent mistake: {classes[int(real)]} taken for {classes[int(taken)]}, {int(wrong.max()):,} times.",
            what="Every test row, by its real class (rows) and by the class that the model finds likeliest (columns); "
            "the darker, the larger the share of its row.",
            good="A dark diagonal. A dark place beside it names two classes that the model cannot tell apart.",
        )


def reliability(labels: Floats, contenders: Sequence[Contender]) -> Plot:
    """How often the likeliest class is right, against its probability."""
    model = contenders[0]
    errors = ", ".join(f"{one.role} {one.metrics['calibration_error'].value:.3f}" for one in contenders)
    with canvas(rows=2, height=4.9, sharex=True, height_ratios=[3, 1]) as (figure, [axes, rows]):
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="perfect")
        for one in contenders:
            if one.name != CONSTANT:
                confidence, hit = one.scores.max(axis=1), correct(labels, one.scores)
                binned = bin_of(confidence)
                counts = np.bincount(binned, minlength=BINS)
                used = np.flatnonzero(counts >= _ENOUGH)
                sums, hits = np.bincount(binned, confidence, BINS)[used], np.bincount(binned, hit, BINS)[used]
                label = f"{one.role}, error {one.metrics['calibration_error'].value:.3f}"
                axes.plot(sums / counts[used], hits / counts[used], marker="o", markersize=4, label=label, **STYLES[one.role])
        rows.hist(model.scores.max(axis=1), bins=2 * BINS, range=(0, 1), color=BLUE, alpha=0.75)
        axes.set(ylabel="Share of right answers", ylim=(0, 1.02))
        rows.set(xlabel="Probability of the likeliest class", ylabel="Test rows", xlim=(0, 1.01))
        axes.legend(loc="upper left")
        return finish(
            figure,
            "reliability",
            "Reliability",
            alt=f"Share of right answers against the likeliest class's probability, in {BINS} bins. Calibration error: {errors}.",
            what=f"Among all rows of which the model is, say, 80 % sure, how many does it name rightly? Bins with fewer than {_ENOUGH} rows are left out.",
            good="Dots on the dotted line. Below it the model is surer than it may be.",
        )

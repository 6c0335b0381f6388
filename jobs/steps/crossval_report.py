"""A cross-validation as a page, its plots, and the model card: what the model is for, on what it was tested, and how good it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.ticker import MaxNLocator

from jobs.contracts.bundle import Interval
from jobs.scoring.tasks import LOWER_IS_BETTER, TITLES
from jobs.steps import crossval_numbers
from jobs.steps.crossval_findings import Findings
from jobs.steps.crossval_settings import MODEL, OTHER
from jobs.steps.page import Page, Table, render
from jobs.steps.plots import BLUE, ORANGE, Plot, canvas, finish

_STYLES: dict[str, dict[str, Any]] = {MODEL: {"color": BLUE, "marker": "o"}, OTHER: {"color": ORANGE, "marker": "s"}}
_METHOD = (
    "Folds are whole days, so that what happened on one day never is on both sides. Fold k tests, fold k + 1 says when to stop training, the others "
    "train; medians, scales and vocabularies are fitted on those alone. The test part of the dataset is not used."
)
_INTERVALS = "Intervals are 95 %, by the t statistic corrected for folds that share training rows (Nadeau and Bengio 2003)."


def page(findings: Findings, plots: Sequence[Plot]) -> str:
    first = findings.metrics[0]
    best = crossval_numbers.mean(findings.of(MODEL), first)
    facts = {
        _title(first): f"{best.value:.4f}",
        "95 % interval": f"{best.low:.4f} to {best.high:.4f}",
        "folds": str(findings.folds),
        "rows held out": f"{sum(result.test_rows for result in findings.of(MODEL)):,}",
    }
    tables = [_means(findings), *([_pairs(findings)] if findings.comparisons() else []), _folds(findings)]
    lead = f"{findings.entry(MODEL)} on {findings.manifest.name}, {' and '.join(findings.settings.parts)} parts."
    return render(Page("Cross-validation", f"{findings.job.pipeline}/{findings.job.step}", lead, facts, tables, plots, (_METHOD, _INTERVALS)))


def draw(findings: Findings) -> list[Plot]:
    curve = crossval_numbers.learning_curve(findings.results, findings.metrics[0])
    return [_by_fold(findings), *([_learning(findings)] if curve else [])]


def card(findings: Findings) -> str:
    """Markdown, after Mitchell et al. 2019 (Model Cards for Model Reporting): generated, so that it cannot be out of date."""
    manifest, label = findings.manifest, findings.manifest.label
    rows = ", ".join(f"{part} {count:,}" for part, count in manifest.split.rows.items())
    lines = [
        f"# Model card: {findings.job.pipeline}",
        "",
        f"What it predicts: {label.description or label.name}. Entry `{findings.job.entry}`.",
        "",
        "## Data",
        "",
        f"Dataset `{manifest.name}`, fingerprint `{manifest.fingerprint[:16]}`: {rows} ({manifest.split.method} split).",
        f"Left out: {', '.join(f'{count:,} {why}' for why, count in manifest.rejected.items()) or 'nothing'}.",
        "",
        *_markdown(("feature", "unit", "nulls in train", "meaning"), _features(findings)),
        "",
        "## Training",
        "",
        f"Parameters: `{findings.settings.fixed}`. Each fold's model trained on {findings.of(MODEL)[0].train_rows:,} rows or about as many.",
        "",
        "## Quality",
        "",
        f"{_METHOD} {_INTERVALS}",
        "",
        *_markdown(_means(findings).head, _means(findings).rows),
    ]
    if findings.comparisons():
        lines += ["", "## Compared with", "", f"`{findings.entry(OTHER)}` on the same folds.", "", *_markdown(_pairs(findings).head, _pairs(findings).rows)]
    lines += ["", "## What to know before using it", "", *_caveats(findings)]
    facts = ", ".join(f"{name} {value}" for name, value in findings.recorded.items())
    return "\n".join([*lines, "", f"Made by Seatrial: {facts}.", ""])


def _caveats(findings: Findings) -> list[str]:
    first = findings.metrics[0]
    values = [result.metrics[first] for result in findings.of(MODEL)]
    found = [f"- {_title(first)} differs from fold to fold: {min(values):.4f} to {max(values):.4f}."]
    if findings.manifest.split.method == "time":
        found.append("- Folds mix seasons, the future does not: a split by time, as in the evaluation's report, is the sterner test.")
    if private := [column.name for column in findings.manifest.columns if column.private]:
        found.append(f"- Marked private: {', '.join(private)}.")
    if points := crossval_numbers.learning_curve(findings.results, first):
        gain = points[-1].value - points[-2].value
        found.append(f"- From {points[-2].rows:,} to {points[-1].rows:,} training rows {_title(first)} changed by {gain:+.4f}.")
    return found


def _features(findings: Findings) -> list[Sequence[str]]:
    return [
        (column.name, column.unit or "-", f"{column.statistics.nulls / max(1, column.statistics.count):.1%}" if column.statistics else "-", column.description)
        for column in findings.manifest.features
    ]


def _means(findings: Findings) -> Table:
    roles = [role for role in (MODEL, OTHER) if findings.of(role)]
    rows = [(_title(name), *(_interval(crossval_numbers.mean(findings.of(role), name)) for role in roles)) for name in findings.metrics]
    return Table("Quality", "Mean over the folds, with its 95 % interval.", ("metric", *(findings.entry(role) for role in roles)), rows)


def _pairs(findings: Findings) -> Table:
    rows = [(_title(name), _interval(each.difference), f"{each.wins} of {each.folds}", each.verdict(name)) for name, each in findings.comparisons().items()]
    caption = f"{findings.entry(MODEL)} minus {findings.entry(OTHER)}, fold by fold."
    return Table("Pair by pair", caption, ("metric", "difference", "folds won", "the model is"), rows)


def _folds(findings: Findings) -> Table:
    head = ("fold", "rows", "epochs", "seconds", *(TITLES.get(name, name) for name in findings.metrics))
    rows = [
        (str(each.fold), f"{each.test_rows:,}", str(each.epochs), f"{each.seconds:.1f}", *(f"{each.metrics[name]:.4f}" for name in findings.metrics))
        for each in findings.of(MODEL)
    ]
    return Table("Fold by fold", f"Of {findings.entry(MODEL)}.", head, rows)


def _by_fold(findings: Findings) -> Plot:
    name = findings.metrics[0]
    with canvas() as (figure, (axes,)):
        for role in (MODEL, OTHER):
            results = findings.of(role)
            if results:
                centre = crossval_numbers.mean(results, name)
                axes.plot([each.fold for each in results], [each.metrics[name] for each in results], linewidth=1.2, label=findings.entry(role), **_STYLES[role])
                axes.axhspan(centre.low, centre.high, color=_STYLES[role]["color"], alpha=0.15, linewidth=0)
        axes.set_xlabel("fold")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylabel(_title(name))
        axes.legend()
        return finish(
            figure,
            "folds",
            "Fold by fold",
            alt=f"{_title(name)} of each of {findings.folds} folds",
            what="Each fold's value, and the interval of the mean as a band.",
            good="Two models whose lines rise and fall together, one always above: that is a difference, even where the bands overlap.",
        )


def _learning(findings: Findings) -> Plot:
    name = findings.metrics[0]
    points = crossval_numbers.learning_curve(findings.results, name)
    rows = [point.rows for point in points]
    with canvas() as (figure, (axes,)):
        axes.plot(rows, [point.value for point in points], color=BLUE, marker="o")
        axes.fill_between(rows, [point.low for point in points], [point.high for point in points], color=BLUE, alpha=0.15, linewidth=0)
        axes.set_xscale("log")
        axes.set_xlabel("training rows")
        axes.set_ylabel(_title(name))
        return finish(
            figure,
            "data",
            "Quality against the amount of data",
            alt=f"{_title(name)} at {', '.join(f'{each:,}' for each in rows)} training rows",
            what="Mean and range over the folds that were trained at every amount.",
            good="A line that still rises at its right end: more data would help. Where it is flat, another model would.",
        )


def _title(name: str) -> str:
    arrow = " (lower is better)" if name in LOWER_IS_BETTER else ""
    return TITLES.get(name, name) + arrow


def _interval(found: Interval) -> str:
    return f"{found.value:.4f} ({found.low:.4f} to {found.high:.4f})"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(str(value).replace("|", "\\|").replace("\n", " ") for value in line) + " |" for line in lines]

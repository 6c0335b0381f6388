"""The evaluation as one self-contained HTML page: no file beside it, no script, nothing fetched."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from jobs.contracts.bundle import Interval
from jobs.steps import plots_curves, plots_groups
from jobs.steps.evaluation import Evaluation
from jobs.steps.metrics import LOWER_IS_BETTER, TITLES
from jobs.steps.plots import Plot

TEMPLATE = "report.html.j2"
EXPLANATIONS = {
    "roc_auc": "chance that a positive row outscores a negative one; 0.5 is a coin flip",
    "average_precision": "precision averaged over every recall; compare it with the rate of positives",
    "brier": "mean squared distance between probability and outcome",
    "calibration_error": "by how much probabilities miss the observed rate, on average over 15 bins",
    "f1": "balance of precision and recall at each model's own threshold",
}


def draw(evaluation: Evaluation) -> list[Plot]:
    """Every plot that these numbers allow, in the order of the report."""
    labels, compared, model = evaluation.labels, evaluation.contenders, evaluation.model
    drawn = [
        plots_curves.roc(labels, compared),
        plots_curves.precision_recall(labels, compared),
        plots_curves.calibration(labels, compared),
        plots_groups.confusion(labels, model),
        plots_groups.by_month(evaluation.months),
        plots_groups.by_slice(evaluation.slices, model),
        plots_groups.importance(evaluation.importances),
        plots_curves.learning(evaluation.curves),
    ]
    return [plot for plot in drawn if plot is not None]


def render(evaluation: Evaluation, plots: list[Plot]) -> str:
    """The page. Text from the data is escaped; only the plots' own SVG is inserted as it is."""
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(interval=_interval, share="{:.1%}".format, count="{:,}".format, short=lambda text: text[:12])
    return environment.get_template(TEMPLATE).render(
        evaluation=evaluation,
        manifest=evaluation.manifest,
        bundle=evaluation.bundle,
        model=evaluation.model,
        plots=plots,
        titles=TITLES,
        explanations=EXPLANATIONS,
        lower_is_better=LOWER_IS_BETTER,
        best={metric: _best(evaluation, metric) for metric in TITLES},
        slices={column: list(found) for column, found in groupby(evaluation.slices, lambda one: one.column)},
        spec=json.dumps(evaluation.bundle.spec, indent=2),
    )


def _interval(found: Interval, digits: int = 3) -> str:
    return f"{found.low:.{digits}f} to {found.high:.{digits}f}"


def _best(evaluation: Evaluation, metric: str) -> str:
    """The role of the contender with the best value."""
    choose = min if metric in LOWER_IS_BETTER else max
    return choose(evaluation.contenders, key=lambda one: one.metrics[metric].value).role

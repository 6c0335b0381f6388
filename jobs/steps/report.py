"""The evaluation as one self-contained HTML page: no file beside it, no script, nothing fetched."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from jobs.contracts.bundle import Interval
from jobs.scoring.tasks import Task
from jobs.steps import plots_classes, plots_curves, plots_groups, plots_values
from jobs.steps.evaluation import Evaluation
from jobs.steps.plots import Plot

TEMPLATE = "report.html.j2"
EXPLANATIONS = {
    "roc_auc": "chance that a positive row outscores a negative one; 0.5 is a coin flip",
    "average_precision": "precision averaged over every recall; compare it with the rate of positives",
    "brier": "mean squared distance between probability and outcome",
    "calibration_error": "by how much probabilities miss the observed rate, on average over 15 bins",
    "f1": "balance of precision and recall at each model's own threshold",
    "accuracy": "share of rows whose likeliest class is the right one",
    "macro_f1": "balance of precision and recall, the mean over classes, so that a rare class counts as much as a common one",
    "log_loss": "surprise at what happened: minus the logarithm of the probability that it was given",
    "rmse": "typical distance between prediction and label, in the label's unit; large misses count more",
    "mae": "mean distance between prediction and label, in the label's unit",
    "r2": "share of the labels' variation that the model explains; 0 is what their mean would do",
}
OF_CLASSES = {"calibration_error": "by how much the likeliest class's probability misses how often it is right, on average over 15 bins"}


def draw(evaluation: Evaluation) -> list[Plot]:
    """Every plot that these numbers allow, in the order of the report."""
    model, task = evaluation.model, evaluation.task
    drawn = [
        *_of_task(evaluation),
        plots_groups.by_month(evaluation.months, task),
        plots_groups.by_slice(evaluation.slices, model, task),
        plots_groups.importance(evaluation.importances, task),
        plots_curves.learning(evaluation.curves),
    ]
    return [plot for plot in drawn if plot is not None]


def _of_task(evaluation: Evaluation) -> list[Plot]:
    labels, compared, model = evaluation.labels, evaluation.contenders, evaluation.model
    believed = [*compared, evaluation.uncalibrated] if evaluation.uncalibrated else compared
    if evaluation.task.name == "binary":
        return [
            plots_curves.roc(labels, compared),
            plots_curves.precision_recall(labels, compared),
            plots_curves.calibration(labels, believed),
            plots_groups.confusion(labels, model, by_cost=evaluation.bundle.costs is not None),
        ]
    if evaluation.task.name == "multiclass":
        return [plots_classes.confusion(labels, model, evaluation.bundle.classes), plots_classes.reliability(labels, believed)]
    unit = evaluation.manifest.label.unit
    return [plots_values.agreement(labels, model, unit), plots_values.errors(labels, compared, unit)]


def render(evaluation: Evaluation, plots: list[Plot]) -> str:
    """The page. Text from the data is escaped; only the plots' own SVG is inserted as it is."""
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    task = evaluation.task
    level = "{:.1%}".format if task.is_share else "{:.3f}".format
    environment.filters.update(interval=_interval, share="{:.1%}".format, level=level, count="{:,}".format, short=lambda text: text[:12])
    return environment.get_template(TEMPLATE).render(
        evaluation=evaluation,
        manifest=evaluation.manifest,
        bundle=evaluation.bundle,
        model=evaluation.model,
        plots=plots,
        task=task,
        titles=task.titles,
        explanations=EXPLANATIONS | (OF_CLASSES if task.name == "multiclass" else {}),
        lower_is_better=task.lower_is_better,
        best={metric: _best(evaluation, metric, task) for metric in task.titles},
        slices={column: list(found) for column, found in groupby(evaluation.slices, lambda one: one.column)},
        spec=json.dumps(evaluation.bundle.spec, indent=2),
    )


def _interval(found: Interval, digits: int = 3) -> str:
    return f"{found.low:.{digits}f} to {found.high:.{digits}f}"


def _best(evaluation: Evaluation, metric: str, task: Task) -> str:
    """The role of the contender with the best value."""
    choose = min if metric in task.lower_is_better else max
    return choose(evaluation.contenders, key=lambda one: one.metrics[metric].value).role

"""A search as a page: how it went, what each parameter did, and every trial in a table."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

from matplotlib.ticker import NullFormatter

from jobs.steps.page import Page, Table, render
from jobs.steps.plots import BLUE, GREEN, GREY, ORANGE, WIDE, Plot, canvas, finish
from jobs.steps.tune_settings import Settings
from jobs.steps.tune_trials import Trial, TrialState

_COLUMNS = 3  # of small plots in a row
_CURVES = 40  # more lines than that are one grey cloud


def page(name: str, settings: Settings, trials: Sequence[Trial], best: Trial, plots: Sequence[Plot]) -> str:
    states = {state: sum(trial.state == state for trial in trials) for state in TrialState}
    facts = {
        f"best {settings.metric}": f"{best.value:.5f}",
        "trial": str(best.number),
        "trials": ", ".join(f"{count} {state}" for state, count in states.items() if count),
        "training time": f"{sum(trial.seconds for trial in trials):,.0f} s in all",
    }
    lead = f"{len(trials)} trials of {', '.join(settings.search)}; {'lower' if settings.direction == 'min' else 'higher'} {settings.metric} is better."
    return render(Page("Search for parameters", name, lead, facts, [_chosen(settings, best), _table(settings, trials, best)], plots))


def _chosen(settings: Settings, best: Trial) -> Table:
    rows = [(name, _text(best.params[name]), _domain(settings, name)) for name in settings.search]
    return Table("Best parameters", "Of the best trial, and where they were looked for.", ("parameter", "value", "searched"), rows, numbers=3)


def _table(settings: Settings, trials: Sequence[Trial], best: Trial) -> Table:
    names = list(settings.search)
    ordered = sorted(trials, key=lambda trial: (trial.value is None, (trial.value or 0.0) * (1 if settings.direction == "min" else -1)))
    rows = [(str(trial.number), trial.state, _metric(trial), str(trial.epochs), f"{trial.seconds:.1f}", *_values(trial, names)) for trial in ordered]
    head = ("trial", "state", settings.metric, "epochs", "seconds", *names)
    return Table("Trials", "Best first; the metric is that of the epoch with the lowest validation loss.", head, rows, 2, frozenset({ordered.index(best)}))


def table_csv(settings: Settings, trials: Sequence[Trial]) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["trial", "state", settings.metric, "epochs", "seconds", *settings.search, "error"])
    for trial in trials:
        values = [trial.params[name] for name in settings.search]
        writer.writerow([trial.number, trial.state, trial.value, trial.epochs, trial.seconds, *values, trial.error])
    return stream.getvalue().encode()


def draw(settings: Settings, trials: Sequence[Trial]) -> list[Plot]:
    known = [trial for trial in trials if trial.value is not None]
    return [_history(settings, known), _parameters(settings, known), _curves(settings, known)]


def _history(settings: Settings, trials: Sequence[Trial]) -> Plot:
    choose = min if settings.direction == "min" else max
    numbers, values = [trial.number for trial in trials], [trial.value or 0.0 for trial in trials]
    so_far = [choose(values[: place + 1]) for place in range(len(values))]
    with canvas() as (figure, (axes,)):
        axes.scatter(numbers, values, color=[GREY if trial.state == TrialState.STOPPED else BLUE for trial in trials], s=22)
        axes.step(numbers, so_far, where="post", color=ORANGE, linewidth=1.8)
        axes.set_xlabel("trial")
        axes.set_ylabel(settings.metric)
        return finish(
            figure,
            "history",
            "How the search went",
            alt=f"{settings.metric} of {len(trials)} trials in order; the best ends at {so_far[-1]:.4f}",
            what="Each trial's value in order (grey: ended early), and the best so far as a line.",
            good="A line that has been flat for a while: more trials would find little.",
        )


def _parameters(settings: Settings, trials: Sequence[Trial]) -> Plot:
    names = list(settings.search)
    rows = -(-len(names) // _COLUMNS)
    with canvas(min(_COLUMNS, len(names)), rows, width=WIDE, height=3.0 * rows, sharey=True) as (figure, axes):
        for place, name in zip(axes, names, strict=False):
            domain = settings.search[name]
            values = [trial.params[name] if domain.choice is None else domain.choice.index(trial.params[name]) for trial in trials]
            if domain.choice is not None:
                place.set_xticks(range(len(domain.choice)), [_text(each) for each in domain.choice])
                place.set_xlim(-0.5, len(domain.choice) - 0.5)
            place.scatter(values, [trial.value or 0.0 for trial in trials], color=BLUE, s=18, alpha=0.8)
            place.set_xlabel(name)
            if domain.logarithmic:
                low, high = domain.limits or (1, 10)
                place.set_xscale("log")
                place.set_xticks([low, math.sqrt(low * high), high], [_text(float(each)) for each in (low, math.sqrt(low * high), high)])
                place.xaxis.set_minor_formatter(NullFormatter())  # a range of two decades would be a row of overlapping numbers
        for unused in axes[len(names) :]:
            unused.set_visible(False)
        axes[0].set_ylabel(settings.metric)
        return finish(
            figure,
            "parameters",
            "What each parameter did",
            alt=f"{settings.metric} against each of {', '.join(names)}",
            what="Each trial's value against one parameter at a time.",
            good="A clear valley inside the range. Best values at an end of it ask for a wider range.",
        )


def _curves(settings: Settings, trials: Sequence[Trial]) -> Plot:
    with canvas() as (figure, (axes,)):
        for trial in trials[:_CURVES]:
            color = GREY if trial.state == TrialState.STOPPED else GREEN
            axes.plot(*zip(*trial.curve, strict=True), color=color, linewidth=1.1, alpha=0.75, marker="." if len(trial.curve) == 1 else None)
        axes.set_xlabel("epoch")
        axes.set_ylabel(settings.metric)
        return finish(
            figure,
            "curves",
            "How the trials learned",
            alt=f"{settings.metric} by epoch of {min(len(trials), _CURVES)} trials",
            what="The metric on the validation part, epoch by epoch (grey: ended early).",
            good="Trials that end early are those that would have stayed worse.",
        )


def _metric(trial: Trial) -> str:
    return "-" if trial.value is None else f"{trial.value:.5f}"


def _values(trial: Trial, names: Sequence[str]) -> list[str]:
    return [_text(trial.params[name]) for name in names]


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _domain(settings: Settings, name: str) -> str:
    domain = settings.search[name]
    if domain.choice is not None:
        return f"one of {', '.join(map(_text, domain.choice))}"
    low, high = domain.limits or (0, 0)
    kind = ("whole numbers, " if domain.whole else "") + ("on a logarithmic scale" if domain.logarithmic else "evenly")
    return f"{_text(low)} to {_text(high)}, {kind}"

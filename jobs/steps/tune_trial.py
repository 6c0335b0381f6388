"""One trial: the train step's own loop in a Ray worker's process, telling Ray Tune after every epoch how it stands.

Trains into ``trials/<digest of the parameters>/`` of the step's folder, from its checkpoint there if it was under way before. Where
the step's folder lies in an object store the trial works on its machine's own disk, and begins anew after a kill.
"""

from __future__ import annotations

import fcntl
import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune

from jobs.contracts import errors, fingerprint
from jobs.contracts.errors import RequestError, SeatrialError
from jobs.contracts.job import METRICS, Context, Job, reported

OBJECTIVE, EPOCH, CURVE, FINISHED, FAILURE, LOSS = "objective", "epoch", "curve", "finished", "failure", "validation_loss"
TRIALS = "trials"


@dataclass(frozen=True)
class Told:
    """What every trial is told; travels to Ray's workers."""

    job: str  # the tune step's job.json
    folder: str  # of the step; empty = not shared with the workers
    inputs: dict[str, str]
    code: str
    metric: str
    fixed: dict[str, Any]


class Trial(Context):
    """A train step's context that tells Ray Tune of every epoch."""

    metric = LOSS

    def report(self, message: str = "", *, fraction: float | None = None, **metrics: float) -> None:
        super().report(message, fraction=fraction, **metrics)
        if "epoch" in metrics:
            tune.report(standing(self.folder, self.metric))


def run(config: dict[str, Any], told: Told) -> None:
    """An error of ours is told as a result: Ray Tune would hand over a traceback."""
    try:
        tune.report({**_trained(config, told), FINISHED: True})
    except SeatrialError as error:
        failure = {"error": type(error).__name__, "what": error.what, "where": error.where, "hint": error.hint}
        tune.report({OBJECTIVE: math.nan, EPOCH: 0, CURVE: [], FINISHED: False, FAILURE: failure})


def _trained(config: dict[str, Any], told: Told) -> dict[str, Any]:
    """How the trial stands at its end; a trial that had ended before a kill has no epoch left to tell of.

    Errors: what the training loop raises.
    """
    from jobs.steps import training_run  # torch, which the driver does without

    with _folder(told, config) as folder:
        context = Trial(trial_job(told, config), folder, told.inputs, {}, code=told.code)
        context.metric = told.metric
        training_run.run(context)
        return standing(folder, told.metric)


def failure_of(result: Mapping[str, Any]) -> SeatrialError | None:
    """The error that a trial told of, or None."""
    told = result.get(FAILURE)
    if not told:
        return None
    kind: type[SeatrialError] = getattr(errors, told["error"])
    return kind(told["what"], where=told["where"], hint=told["hint"])


def trial_job(told: Told, config: dict[str, Any]) -> Job:
    """A train step in one process, whose checkpoints belong to these parameters alone."""
    job = Job.model_validate_json(told.job)
    params = {**told.fixed, **config}
    changes = {"kind": "train", "params": params, "fingerprint": fingerprint.of([job.fingerprint, params]), "checkpoint": {"every": "epoch", "keep": 1}}
    return job.model_copy(update={**changes, "resources": {**job.resources, "workers": 0}})


def standing(folder: Path, metric: str) -> dict[str, Any]:
    """How a trial stands, from what it has reported: the metric at the epoch with the lowest validation loss.

    Errors: RequestError for a metric that training does not report.
    """
    lines = list(reported((folder / METRICS).read_text()))
    epochs = {int(line["epoch"]): line for line in lines if "epoch" in line}  # an epoch that ran twice counts as the later run says
    if metric not in next(iter(epochs.values())):
        known = sorted(name for name in next(iter(epochs.values())) if name.startswith("validation_"))
        raise RequestError(f"training reports no {metric!r}", where="params.metric", hint=f"it reports {', '.join(known)}")
    best = min(epochs.values(), key=lambda line: line.get(LOSS, math.inf))
    curve = [[epoch, float(line[metric])] for epoch, line in sorted(epochs.items())]
    return {OBJECTIVE: float(best[metric]), EPOCH: max(epochs), CURVE: curve, FINISHED: False}


@contextmanager
def _folder(told: Told, config: dict[str, Any]) -> Iterator[Path]:
    if not told.folder:
        with tempfile.TemporaryDirectory(prefix="seatrial-trial-") as folder:
            yield Path(folder)
        return
    place = Path(told.folder) / TRIALS / fingerprint.of(config)[:16]
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(lock, fcntl.LOCK_EX)  # a search may ask for the same parameters twice at once; the second then finds it done
        yield place

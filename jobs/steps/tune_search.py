"""The search: Ray Tune runs trials side by side, Optuna suggests parameters, ASHA ends the worse ones early.

Ray Tune's own snapshots are not used, and go with the step: what a search continues from are the records of :mod:`jobs.steps.tune_trials`.
Ended trials are told to Optuna again; ASHA begins anew.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from jobs.contracts.errors import RequestError, SeatrialError, StepFailed
from jobs.contracts.job import Context
from jobs.steps import tune_trial, tune_trials
from jobs.steps.ray_session import cause_of, joined
from jobs.steps.tune_settings import Domain, Settings
from jobs.steps.tune_trial import CURVE, EPOCH, FINISHED, OBJECTIVE, Told
from jobs.steps.tune_trials import Trial, TrialState

_VARIABLES = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # CSV, JSON and TensorBoard files of each trial, which nobody reads
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is the step's
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
_STORAGE = "ray"  # Ray Tune's own notes, below the step's folder
_ENDLESS = 1000  # epochs; where the job file sets no limit, the model's own comes first
log = logging.getLogger(__name__)


def run(context: Context, settings: Settings) -> list[Trial]:
    """All trials, those of earlier tries included.

    Errors: what a trial raised, if none gives a value.
    """
    book = _Book(context, settings)
    if book.left:
        for name, value in _VARIABLES.items():
            os.environ.setdefault(name, value)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        cores, at_once = _cores(context), settings.at_once(context.job)
        with joined(context.ray_address, at_once * cores):
            _fit(context, settings, book, cores, at_once)
    if tune_trials.best(book.trials, settings.direction) is None:
        raise book.error or StepFailed("no trial gave a value", where=context.job.step, hint="read the step's log: each trial says why it failed")
    return book.trials


def _fit(context: Context, settings: Settings, book: _Book, cores: int, at_once: int) -> None:
    told = Told(
        context.job.model_dump_json(), "" if context.mirror else str(context.folder), dict(context.inputs), context.code, settings.metric, settings.fixed
    )
    gpu = int(context.job.resources.get("gpu", 0))
    trainable = tune.with_resources(tune.with_parameters(tune_trial.run, told=told), {"cpu": cores, **({"gpu": gpu} if gpu else {})})
    notes = context.folder / _STORAGE
    shutil.rmtree(notes, ignore_errors=True)  # of an earlier try
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=searcher(settings, book.trials),
            scheduler=_scheduler(settings),
            num_samples=book.left,
            max_concurrent_trials=at_once,
            reuse_actors=True,  # a new process for each trial would import torch each time
        ),
        run_config=tune.RunConfig(
            name=context.job.step,
            storage_path=str(notes),
            callbacks=[book],
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=context.job.retries),
        ),
    )
    try:
        tuner.fit()
    except Exception:
        if isinstance(book.error, RequestError):  # Ray Tune wraps what a callback raises
            raise book.error from None
        raise
    finally:
        shutil.rmtree(notes, ignore_errors=True)


def searcher(settings: Settings, earlier: Sequence[Trial]) -> OptunaSearch:
    """Optuna, told of what ended before; what was under way then is suggested first."""
    space = {name: distribution(domain) for name, domain in settings.search.items()}
    # A sampler of the same seed would suggest the same parameters again.
    found = OptunaSearch(space=space, metric=OBJECTIVE, mode=settings.direction, sampler=_sampler(settings, settings.seed + len(earlier)))
    for trial in earlier:
        if trial.ended:
            found.add_evaluated_point(trial.params, trial.value, error=trial.value is None)
        else:
            found._ot_study.enqueue_trial(trial.params)
    return found


def distribution(domain: Domain) -> BaseDistribution:
    if domain.choice is not None:
        return CategoricalDistribution(domain.choice)
    low, high = domain.limits or (0, 0)
    if domain.whole:
        return IntDistribution(int(low), int(high), log=domain.logarithmic)
    return FloatDistribution(low, high, log=domain.logarithmic)


def _sampler(settings: Settings, seed: int) -> BaseSampler:
    return TPESampler(seed=seed) if settings.sampler == "tpe" else RandomSampler(seed=seed)


def _scheduler(settings: Settings) -> ASHAScheduler | None:
    rule = settings.asha
    if rule is None:
        return None
    most = int(settings.fixed.get("epochs", 0)) or _ENDLESS
    return ASHAScheduler(
        metric=OBJECTIVE, mode=settings.direction, time_attr=EPOCH, max_t=most + 1, grace_period=min(rule.grace, most), reduction_factor=rule.factor
    )


def forget(context: Context) -> None:
    """Checkpoints of trials are of no use once the search is over."""
    shutil.rmtree(context.folder / tune_trial.TRIALS, ignore_errors=True)


def _cores(context: Context) -> int:
    return max(1, int(context.job.resources.get("cpu", 1)))


class _Book(tune.Callback):  # type: ignore[misc]
    """Writes down what happens to each trial, and reports it."""

    def __init__(self, context: Context, settings: Settings) -> None:
        self._context, self._settings = context, settings
        self._folder, self._job = context.checkpoints, context.job.fingerprint
        known = tune_trials.load(self._folder, self._job)
        self._trials = {trial.number: trial for trial in known}
        self._waiting = [trial for trial in known if not trial.ended]
        self._numbers: dict[str, int] = {}  # Ray Tune's name of a trial -> ours
        self.error: SeatrialError | None = None
        if known:
            context.report(f"going on after {self._ended} of {settings.trials} trials", fraction=self._ended / settings.trials)

    def __getstate__(self) -> dict[str, Any]:
        """Ray Tune writes its callbacks into a snapshot from which nothing is ever restored here."""
        return {}

    @property
    def trials(self) -> list[Trial]:
        return [trial for _, trial in sorted(self._trials.items())]

    @property
    def left(self) -> int:
        return max(0, self._settings.trials - self._ended)

    @property
    def _ended(self) -> int:
        return sum(trial.ended for trial in self._trials.values())

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        if trial.trial_id in self._numbers:  # started again after its worker was lost
            return
        number = self._taken_up(trial.config)
        self._numbers[trial.trial_id] = number
        self._keep(Trial(job=self._job, number=number, params=dict(trial.config)))

    def _taken_up(self, params: dict[str, Any]) -> int:
        """The number of a trial that was under way with these parameters, or the next one."""
        for earlier in self._waiting:
            if earlier.params == params:
                self._waiting.remove(earlier)
                return earlier.number
        return max(self._trials, default=0) + 1

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        result = trial.last_result
        if error := tune_trial.failure_of(result):
            self._fail(trial, error)
            return
        whole = result.get(FINISHED) or result[EPOCH] >= self._settings.fixed.get("epochs", _ENDLESS)
        state = TrialState.FINISHED if whole else TrialState.STOPPED
        self._end(trial, state, value=result[OBJECTIVE], epochs=result[EPOCH], curve=result[CURVE], seconds=round(result["time_total_s"], 3))

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._fail(trial, cause_of(trial.get_pickled_error(), "a trial"))

    def _fail(self, trial: Any, error: SeatrialError) -> None:
        self.error = self.error or error
        self._end(trial, TrialState.FAILED, error=error.what)
        if isinstance(error, RequestError):  # wrong for every other trial too
            self.error = error
            raise error

    def _end(self, trial: Any, state: TrialState, **facts: Any) -> None:
        number = self._numbers[trial.trial_id]
        self._keep(Trial.model_validate({**self._trials[number].model_dump(), "state": state, **facts}))
        ended, best = self._ended, tune_trials.best(self.trials, self._settings.direction)
        text = f"trial {number} {state}; {ended} of {self._settings.trials}"
        told = {"best": best.value} if best and best.value is not None else {}
        best_text = f", best {self._settings.metric} {best.value:.4f} (trial {best.number})" if best else ""
        self._context.report(text + best_text, fraction=ended / self._settings.trials, step=ended, **told)

    def _keep(self, trial: Trial) -> None:
        self._trials[trial.number] = trial
        tune_trials.save(self._folder, trial)

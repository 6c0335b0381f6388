"""The gate's rule on models whose order is known, and what its sentences say."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from jobs.scoring import metrics
from jobs.steps.contenders import BASELINE, CHAMPION, MODEL, Contender, constant
from jobs.steps.gate import Gate, decide

RANDOM = np.random.default_rng(3)
SIGNAL = RANDOM.normal(size=3000)
LABELS = (RANDOM.random(3000) < 1 / (1 + np.exp(-SIGNAL))).astype(np.float64)


def contender(role: str, noise: float) -> Contender:
    """The true signal seen through noise: the more noise, the worse the model."""
    scores = 1 / (1 + np.exp(-(SIGNAL + noise * np.random.default_rng(int(noise * 1000)).normal(size=3000))))
    values = metrics.evaluate(LABELS, scores, threshold=0.5)
    draws = metrics.resample(LABELS, scores, threshold=0.5)
    return Contender(role, "flow", 0.5, scores, {name: metrics.interval(values[name], draws[name]) for name in values}, draws)


def test_first_version_needs_only_to_beat_the_baseline() -> None:
    verdict = decide(Gate(), contender(MODEL, 0.1), [contender(BASELINE, 1.0)])
    assert verdict.champion
    assert verdict.reasons[0].startswith("Better than the baseline: ROC AUC 0.")
    assert verdict.reasons[1] == "There is no champion yet to compare with."


def test_an_advantage_that_may_be_luck_is_not_enough() -> None:
    verdict = decide(Gate(), contender(MODEL, 0.30), [contender(BASELINE, 0.31)])
    assert not verdict.champion
    assert verdict.reasons[0].startswith("Not proven better than the baseline")


@pytest.mark.parametrize("metric", metrics.METRICS)
def test_every_metric_knows_which_direction_is_better(metric: str) -> None:
    good, bad = contender(MODEL, 0.0), contender(BASELINE, 4.0)
    assert decide(Gate(metric=metric), good, [bad]).champion
    assert not decide(Gate(metric=metric), bad, [Contender(**{**good.__dict__, "role": BASELINE})]).champion


def test_the_same_model_is_not_worse_than_itself() -> None:
    verdict = decide(Gate(), contender(MODEL, 0.2), [contender(BASELINE, 1.5), contender(CHAMPION, 0.2)])
    assert verdict.champion
    assert verdict.comparisons[1].difference.model_dump() == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_margin_decides_how_much_worse_than_the_champion_is_accepted() -> None:
    model, others = contender(MODEL, 0.5), [contender(BASELINE, 2.0), contender(CHAMPION, 0.1)]
    strict, lenient = decide(Gate(), model, others), decide(Gate(margin=0.2), model, others)
    assert not strict.champion
    assert strict.reasons[1].startswith("Not proven as good as the champion")
    assert strict.reasons[1].endswith("must be at least 0.")
    assert lenient.champion
    assert lenient.reasons[1].endswith("must be at least -0.2.")


def test_paired_rows_prove_what_separate_intervals_cannot() -> None:
    model, champion = contender(MODEL, 0.05), contender(CHAMPION, 0.5)
    assert model.metrics["roc_auc"].low < champion.metrics["roc_auc"].high  # the two intervals overlap
    assert decide(Gate(), model, [champion]).comparisons[0].difference.low > 0


def test_a_champion_that_cannot_answer_is_never_passed_over() -> None:
    verdict = decide(Gate(), contender(MODEL, 0.1), [contender(BASELINE, 1.0)], unfit="The champion cannot answer these rows.")
    assert not verdict.champion
    assert "The champion cannot answer these rows." in verdict.reasons
    assert decide(Gate(beats=("baseline",)), contender(MODEL, 0.1), [contender(BASELINE, 1.0)], unfit="It cannot.").champion


def test_knowing_nothing_is_beaten_and_scores_as_expected() -> None:
    nothing = constant(float(LABELS.mean()), LABELS, samples=200, seed=0)
    assert nothing.metrics["roc_auc"].value == 0.5
    assert nothing.metrics["brier"].value == pytest.approx(LABELS.mean() * (1 - LABELS.mean()))
    assert decide(Gate(), contender(MODEL, 0.5), [nothing]).champion


def test_a_gate_that_is_misspelt_is_refused() -> None:
    for wrong in ({"metric": "acuracy"}, {"beats": ["nobody"]}, {"margin": -1}, {"marign": 0.1}):
        with pytest.raises(ValidationError):
            Gate.model_validate(wrong)

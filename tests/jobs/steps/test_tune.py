"""The tune step: its settings, what Optuna is told, and one search on Ray that is killed and goes on."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from jobs.contracts import bundle as bundles
from jobs.contracts import parameters
from jobs.contracts.errors import InputError, IntegrityError, RequestError, SpecError
from jobs.steps import tune_report, tune_search, tune_trials
from jobs.steps.tune_settings import EarlyStopping, Settings
from jobs.steps.tune_trial import standing
from jobs.steps.tune_trials import Trial, TrialState
from tests import factories
from tests.jobs.steps import searching, training

SEARCH: dict[str, Any] = {"hidden": {"int": [4, 32]}, "learning_rate": {"loguniform": ["1e-3", 0.1]}, "dropout": {"choice": [0.0, 0.2]}}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    factories.make_dataset(folder, rows=3000)
    return folder


def settings(**params: Any) -> Settings:
    return Settings.of(training.job(kind="tune", params={"search": SEARCH, **params}))


def test_what_is_not_the_searchs_own_goes_to_every_trial() -> None:
    found = settings(seed=7, batch=256, trials=3, epochs_at_most=2)
    assert found.fixed == {"seed": 7, "batch": 256, "epochs_at_most": 2}
    assert (found.seed, found.trials, found.direction, found.asha) == (7, 3, "min", EarlyStopping())
    assert settings(metric="validation_auc").direction == "max"
    assert settings(metric="validation_auc", mode="min").direction == "min"
    assert settings(early_stopping=False).asha is None
    assert settings(early_stopping={"grace": 2}).asha == EarlyStopping(grace=2)


@pytest.mark.parametrize(
    ("params", "where", "what"),
    [
        ({"search": {}}, "params.search", "at least 1"),
        ({"search": {"a": {"uniform": [1, 0]}}}, "params.search.a", "below the second"),
        ({"search": {"a": {"loguniform": [0, 1]}}}, "params.search.a", "above 0"),
        ({"search": {"a": {"uniform": [0, 1], "choice": [1]}}}, "params.search.a", "give one of uniform, loguniform, int, logint, choice"),
        ({"search": {"a": {"normal": [0, 1]}}}, "params.search.a.normal", "Extra inputs"),
        ({"hidden": 8}, "params.hidden", "both searched and given"),
        ({"trials": 0}, "params.trials", "greater than or equal to 1"),
    ],
)
def test_wrong_params_name_their_place(params: dict[str, Any], where: str, what: str) -> None:
    with pytest.raises(SpecError, match=what) as caught:
        settings(**params)
    assert caught.value.where == where


def test_trials_run_side_by_side_as_workers_allow() -> None:
    job = training.job(resources={"workers": 4})
    assert (settings().at_once(job), settings(parallel=2).at_once(job), settings(trials=3).at_once(job)) == (4, 2, 3)
    assert settings().at_once(training.job(resources={"workers": 0})) == 1
    with pytest.raises(RequestError, match="5 trials at once need as many workers, and there are 4"):
        settings(parallel=5).at_once(job)


def trial(number: int, **facts: Any) -> Trial:
    params = {"hidden": 8 + number, "learning_rate": 0.01, "dropout": 0.0}
    return Trial.model_validate({"job": "f1", "number": number, "params": params} | facts)


def test_ended_trials_are_told_to_optuna_and_one_under_way_comes_first() -> None:
    earlier = [
        trial(1, state=TrialState.FINISHED, value=0.5),
        trial(2, state=TrialState.FAILED, error="?"),
        trial(3),
        trial(4, state=TrialState.STOPPED, value=0.7),
    ]
    searcher = tune_search.searcher(settings(), earlier)
    assert [(each.state.name, each.value) for each in searcher._ot_study.trials] == [("COMPLETE", 0.5), ("FAIL", None), ("WAITING", None), ("COMPLETE", 0.7)]
    assert searcher.suggest("first") == earlier[2].params
    fresh = [tune_search.searcher(settings(), []).suggest("a"), tune_search.searcher(settings(), earlier[:1]).suggest("a")]
    assert fresh[0] == tune_search.searcher(settings(), []).suggest("a")
    assert fresh[0] != fresh[1], "the same seed would suggest the same again"
    for name, value in (fresh[0] or {}).items():
        domain = settings().search[name]
        assert value in domain.choice if domain.choice is not None else domain.limits[0] <= value <= domain.limits[1]  # type: ignore[index]


def test_records_of_other_jobs_and_broken_ones_do_not_count(tmp_path: Path) -> None:
    for each in (trial(2, state=TrialState.FINISHED, value=0.2), trial(1, state=TrialState.FINISHED, value=0.2), trial(3, job="f2")):
        tune_trials.save(tmp_path, each)
    (tmp_path / "trial-00009.json").write_text("{")
    found = tune_trials.load(tmp_path, "f1")
    assert [each.number for each in found] == [1, 2]
    assert tune_trials.best(found, "min") == found[0]
    assert tune_trials.best([trial(1, value=0.1), trial(2, state=TrialState.FAILED)], "min") is None


def test_a_trial_stands_where_its_best_epoch_stands(tmp_path: Path) -> None:
    lines = [{"epoch": 1, "validation_loss": 0.5, "validation_auc": 0.6}, {"epoch": 2, "validation_loss": 0.4, "validation_auc": 0.7}, {"message": "x"}]
    lines += [{"epoch": 3, "validation_loss": 0.6, "validation_auc": 0.9}, {"epoch": 2, "validation_loss": 0.4, "validation_auc": 0.71}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert standing(tmp_path, "validation_auc") == {"objective": 0.71, "epoch": 3, "curve": [[1, 0.6], [2, 0.71], [3, 0.9]], "finished": False}
    with pytest.raises(RequestError, match="training reports no 'validation_f1'") as caught:
        standing(tmp_path, "validation_f1")
    assert caught.value.hint == "it reports validation_auc, validation_loss"


def test_a_killed_search_repeats_no_trial_and_its_best_trains_the_model(dataset: Path, tmp_path: Path) -> None:
    params = {"search": SEARCH, "trials": 6, "epochs": 3, "early_stopping": False}
    context = searching.context(tmp_path, dataset, "tune", params)
    with searching.started(context, "tune") as process:
        training.wait_for("two trials", lambda: sum(each.ended for each in tune_trials.load(context.checkpoints, "f1")) >= 2, process)
        process.kill()
    before = {each.number: each for each in tune_trials.load(context.checkpoints, "f1")}
    assert not (tmp_path / "made" / parameters.PARAMETERS).exists()
    outputs = searching.run(context, "tune")
    trials = tune_trials.load(context.checkpoints, "f1")
    assert [each.number for each in trials] == list(range(1, len(trials) + 1))
    assert sum(each.ended for each in trials) == 6
    assert all(trials[number - 1] == each for number, each in before.items() if each.ended), "an ended trial ran again"
    assert all(trials[number - 1].params == each.params for number, each in before.items()), "a trial under way was given up"
    assert {each.state for each in trials} == {TrialState.FINISHED}
    assert all(len(each.curve) == 3 for each in trials)
    best = tune_trials.best(trials, "min")
    assert best is not None
    found = parameters.load(str(tmp_path / "made"))
    assert found.params == {"seed": 3, "batch": 128, "epochs": 3, **best.params}
    assert found.value == best.value == min(loss for _, loss in best.curve)
    assert outputs["outputs"]["made"]["fingerprint"] == found.fingerprint
    rows = list(csv.reader((tmp_path / "made/trials.csv").read_text().splitlines()))
    assert len(rows) == 7
    assert "Best parameters" in (tmp_path / "made/report.html").read_text()
    assert {path.name for path in (tmp_path / "made/plots").iterdir()} == {"history.png", "parameters.png", "curves.png"}
    assert not (tmp_path / "trials").exists()
    trained_as_found(dataset, tmp_path, found, best)


def trained_as_found(dataset: Path, folder: Path, found: parameters.Parameters, best: Trial) -> None:
    """A train step with these parameters as an input makes the best trial's model, and says with what."""
    changes = {"params": {"hidden": 4, "dropout": 0.2}, "inputs": ("dataset", "parameters"), "input_fingerprints": {"parameters": found.fingerprint}}
    context = training.context(folder / "train", dataset, **changes)
    context.inputs = {**context.inputs, "parameters": str(folder / "made")}
    from jobs.steps.train import train

    summary = train(context).summary
    assert summary["tuned"] == found.params
    assert bundles.load(context.outputs["bundle"]).spec["params"] == found.params
    losses = [line["validation_loss"] for line in training.metrics(context) if "epoch" in line]
    assert min(losses) == pytest.approx(best.value, abs=1e-6)


def test_a_wrong_parameter_ends_the_search_with_its_sentence(dataset: Path, tmp_path: Path) -> None:
    context = searching.context(tmp_path, dataset, "tune", {"search": {"hiden": {"choice": [1]}}, "trials": 3}, resources={"workers": 0})
    with searching.started(context, "tune") as process:
        assert process.wait(timeout=training.LIMIT) == 2, (tmp_path / "log.txt").read_text()[-3000:]
    assert "unknown parameter 'hiden'" in training.error(context)["what"]


def test_early_stopping_shows_in_the_table_and_every_kind_of_domain_in_the_plots() -> None:
    asked = settings(metric="validation_auc")
    trials = [
        trial(1, state=TrialState.FINISHED, value=0.7, epochs=3, curve=((1, 0.5), (2, 0.7), (3, 0.6))),
        trial(2, state=TrialState.STOPPED, value=0.4, epochs=1, curve=((1, 0.4),)),
        trial(3, state=TrialState.FAILED, error="no"),
    ]
    page = tune_report.page("tiny/tune", asked, trials, trials[0], tune_report.draw(asked, trials))
    assert page.index("<strong>1</strong>") < page.index("stopped early</td>") < page.index("failed</td>")
    assert "0.001 to 0.1, on a logarithmic scale" in page
    assert page.count("<svg") == 3


def test_parameters_are_read_only_when_whole(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no parameters here"):
        parameters.load(str(tmp_path))
    (tmp_path / parameters.PARAMETERS).write_text("{}")
    with pytest.raises(IntegrityError, match="does not validate"):
        parameters.load(str(tmp_path))

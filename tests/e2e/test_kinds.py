"""A search, the training with what it found, its judgement, folds, and the champion's answers for a whole table, by the command line."""

from __future__ import annotations

from jobs.contracts import bundle as bundles
from jobs.contracts import parameters, predictions
from tests.e2e.conftest import Place


def test_a_search_is_trained_judged_and_asked_about_a_whole_table(place: Place) -> None:
    done = place.run_file("tiny/kinds.yaml")
    assert done.returncode == 0, done.stderr
    for said in ("best validation_loss", "mean of 3 folds (95 % interval)", "model card", "champion"):
        assert said in done.stdout
    steps = place.newest_run()["steps"]
    found = parameters.load(steps["search"]["outputs"]["best"]["uri"])
    bundle = bundles.load(steps["train"]["outputs"]["bundle"]["uri"])
    assert bundle.spec["params"] == {**found.params, "epochs": 1}, "what was found takes the place of the step's own"
    assert place.json("models", "show", "tiny")["fingerprint"] == bundle.fingerprint

    batch = place.run_file("tiny/batch.yaml")
    assert batch.returncode == 0, batch.stderr
    scores = predictions.load(place.newest_run()["steps"]["score"]["outputs"]["scores"]["uri"], verify_files=True)
    assert (scores.bundle, scores.rejected) == (bundle.fingerprint, {})
    assert f"{scores.predicted:,} of {scores.read:,} rows" in batch.stdout
    assert place.newest_run()["steps"]["features"]["reused"]
    again = place.run_file("tiny/batch.yaml")
    assert place.newest_run()["steps"]["score"]["reused"], again.stdout

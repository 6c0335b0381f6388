"""The predict step on published files and real ONNX bundles: complete, equal to serving's scorer, and resumable after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from jobs.contracts import bundle as bundles
from jobs.contracts import dataset as datasets
from jobs.contracts import predictions, storage
from jobs.contracts.errors import InputError, IntegrityError, SpecError
from jobs.contracts.job import Context, Job
from jobs.scoring.scorer import Scorer
from jobs.steps import predict, predict_parts
from tests import factories, object_store

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    factories.make_dataset(folder / "data", rows=4000)
    factories.make_bundle(folder / "bundle", folder / "data")
    return folder


def context(store: Path, folder: Path, params: dict[str, Any] | None = None, rows: str = "", output: str = "", **changes: Any) -> Context:
    folder.mkdir(parents=True, exist_ok=True)
    places = {"bundle": str(store / "bundle"), "rows": rows or str(store / "data")}
    facts: dict[str, Any] = {"pipeline": "p", "run": "r", "step": "score", "kind": "predict", "params": params or {}, "fingerprint": "f1"}
    facts |= {"inputs": tuple(places), "outputs": ("scores",), "input_fingerprints": {"rows": "rows-1", "bundle": "b"}}
    return Context(Job.model_validate(facts | changes), folder, places, {"scores": output or str(folder / "scores")})


def table(folder: Path, what: str = predictions.PREDICTED) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in sorted((folder / "scores" / what).glob("*.parquet"))])


def plain(folder: Path, table: pa.Table, **options: Any) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "rows.parquet", **options)
    return str(folder)


def test_every_row_is_answered_as_the_scorer_answers_it(store: Path, tmp_path: Path) -> None:
    result = predict.work(context(store, tmp_path, {"part": "test", "part_rows": 300, "batch": 128}))
    manifest = predictions.load(str(tmp_path / "scores"), verify_files=True)
    test = datasets.read_part(str(store / "data"), datasets.load_manifest(str(store / "data")), "test")
    found, scorer = table(tmp_path), Scorer(str(store / "bundle"))
    assert found.column_names == ["row_id", "moment", "probability", "label"]
    assert found["row_id"].equals(test["row_id"])
    assert np.array_equal(found["probability"].to_numpy(), scorer.score(test))
    assert found["label"].to_pylist() == [int(each >= scorer.bundle.threshold) for each in found["probability"].to_pylist()]
    assert (manifest.read, manifest.predicted, manifest.rejected) == (1000, 1000, {})
    assert manifest.columns == {name: str(found.schema.field(name).type) for name in found.column_names}
    lineage = (manifest.model, manifest.bundle, manifest.dataset, manifest.rows, manifest.parts)
    assert lineage == ("parcels", scorer.fingerprint, scorer.bundle.dataset, "rows-1", ("test",))
    assert result.outputs["scores"].fingerprint == manifest.fingerprint
    assert result.summary["headline"] == "1,000 rows predicted, 0 rejected"
    written = sorted((tmp_path / "scores").rglob("*.*"), key=lambda path: path.stat().st_mtime_ns)
    assert written[-1].name == "manifest.json"


def test_all_parts_of_a_dataset_are_read_unless_some_are_named(store: Path, tmp_path: Path) -> None:
    assert predict.work(context(store, tmp_path)).summary["rows"] == 4000
    with pytest.raises(InputError, match="no part 'tests'"):
        predict.work(context(store, tmp_path / "other", {"part": ["tests"]}))


def test_plain_parquet_is_read_in_the_order_of_its_files_and_numbered(store: Path, tmp_path: Path) -> None:
    rows = factories.make_rows(1000, seed=5)
    for number in range(3):
        plain(tmp_path / "in" / f"day={number}", rows.slice(400 * number, 400).select(["color", "size", "weight"]), row_group_size=90)
    (tmp_path / "in" / "_temporary").mkdir()
    (tmp_path / "in" / "_temporary" / "half.parquet").write_bytes(b"PAR1")
    predict.work(context(store, tmp_path, {"part_rows": 150}, rows=str(tmp_path / "in")))
    found = table(tmp_path)
    assert found["row_number"].to_pylist() == list(range(1000))
    assert np.abs(found["probability"].to_numpy() - factories.probability(rows)).max() < 1e-6
    sizes = [file.rows for file in predictions.load(str(tmp_path / "scores")).files]
    assert all(150 <= size < 150 + 90 for size in sizes[:-1]), sizes
    one = context(store, tmp_path / "one", {"ids": ["color"]}, rows=str(tmp_path / "in/day=0/rows.parquet"))
    assert predict.work(one).summary["rows"] == 400
    assert table(tmp_path / "one").column_names == ["color", "probability", "label"]


def test_rows_that_do_not_fit_are_set_aside_with_the_reason(store: Path, tmp_path: Path) -> None:
    rows = pa.table(
        {
            "key": ["a", "b", "c", "d", "e", "f"],
            "color": ["red", None, "red", "violet", "red", "red"],
            "size": ["10", " 1e1 ", "large", None, "", "7"],
            "weight": [3.0, float("nan"), 1.0, float("inf"), 2.0, -float("inf")],
        }
    )
    result = predict.work(context(store, tmp_path, {"ids": ["key"], "batch": 4}, rows=plain(tmp_path / "in", rows)))
    assert table(tmp_path)["key"].to_pylist() == ["a", "b"]
    assert table(tmp_path, "rejected").to_pylist() == [
        {"row_number": 2, "key": "c", "reason": "not_a_number:size"},
        {"row_number": 3, "key": "d", "reason": "not_finite:weight"},
        {"row_number": 4, "key": "e", "reason": "not_a_number:size"},
        {"row_number": 5, "key": "f", "reason": "not_finite:weight"},
    ]
    assert result.summary["rejected"] == {"not_a_number:size": 2, "not_finite:weight": 2}
    assert result.summary["predicted"] + sum(result.summary["rejected"].values()) == result.summary["rows"] == 6
    expected = pa.table({"color": ["red", None], "size": pa.array([10.0, 10.0]), "weight": pa.array([3.0, None])})
    assert table(tmp_path)["probability"].to_numpy() == pytest.approx(factories.probability(expected), abs=1e-6)
    again = predict.work(context(store, tmp_path, {"ids": ["key"], "batch": 4}, rows=str(tmp_path / "in")))
    assert again.summary["made_before"] == 6
    assert again.outputs == result.outputs


def test_a_score_that_is_no_number_is_a_rejected_row() -> None:
    reasons = predict.predict_fit.with_scores(pa.array([None, "early", None]), np.array([0.5, np.nan, np.inf], np.float32))
    assert reasons is not None
    assert reasons.to_pylist() == [None, "early", "no_score"]


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"color": ["red"], "size": [1.0]}, "the rows lack weight"),
        ({"color": [["red"]], "size": [1.0], "weight": [1.0]}, "'color' is list<.*> and the model takes a category"),
        ({"color": ["red"], "size": [datetime(2024, 1, 1)], "weight": [1.0]}, "'size' is timestamp.* and the model takes a number"),
    ],
)
def test_columns_that_cannot_fit_are_said_before_anything_is_scored(store: Path, tmp_path: Path, columns: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        predict.work(context(store, tmp_path, rows=plain(tmp_path / "in", pa.table(columns))))
    assert not (tmp_path / "scores").exists()


def test_what_is_no_table_or_was_changed_is_refused(store: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="no Parquet file here"):
        predict.work(context(store, tmp_path, rows=str(tmp_path / "in")))
    (tmp_path / "in" / "rows.parquet").write_text("no, sir")
    with pytest.raises(InputError, match="this is no Parquet file"):
        predict.work(context(store, tmp_path, rows=str(tmp_path / "in")))
    factories.make_dataset(tmp_path / "data", rows=200)
    (tmp_path / "data/test/part-0.parquet").write_bytes((tmp_path / "data/validation/part-0.parquet").read_bytes())
    with pytest.raises(IntegrityError, match="does not match its SHA-256"):
        predict.work(context(store, tmp_path, rows=str(tmp_path / "data")))


def test_nothing_private_is_carried_through(store: Path, tmp_path: Path) -> None:
    manifest = datasets.load_manifest(str(store / "data"))
    columns = [column.model_copy(update={"private": column.name in ("row_id", "color")}) for column in manifest.columns]
    for part in datasets.PARTS:
        (tmp_path / "data" / part).mkdir(parents=True)
        (tmp_path / "data" / part / "part-0.parquet").write_bytes((store / "data" / part / "part-0.parquet").read_bytes())
    datasets.publish_manifest(str(tmp_path / "data"), manifest.model_copy(update={"columns": tuple(columns)}))
    predict.work(context(store, tmp_path, rows=str(tmp_path / "data")))
    assert table(tmp_path).column_names == ["moment", "probability", "label"]
    with pytest.raises(SpecError, match="'color' is marked private"):
        predict.work(context(store, tmp_path, {"ids": ["color"]}, rows=str(tmp_path / "data")))


@pytest.mark.parametrize(("params", "where"), [({"threshold": 2}, "params.threshold"), ({"parts": "test"}, "params.parts"), ({"ids": ["label"]}, "params.ids")])
def test_wrong_params_name_their_place(store: Path, tmp_path: Path, params: dict[str, Any], where: str) -> None:
    with pytest.raises(SpecError) as caught:
        predict.work(context(store, tmp_path, params))
    assert caught.value.where == where


def test_a_killed_step_keeps_its_parts_and_makes_only_the_others(store: Path, tmp_path: Path) -> None:
    rows = plain(tmp_path / "in", pa.concat_tables([factories.make_rows(50_000)] * 4).drop(["fold", "late"]), row_group_size=1000)
    params = {"ids": ["row_id"], "part_rows": 2000, "batch": 500}
    told = context(store, tmp_path, params, rows=rows)
    (tmp_path / "job.json").write_text(told.job.model_dump_json())
    variables = {"SEATRIAL_INPUT_BUNDLE": told.inputs["bundle"], "SEATRIAL_INPUT_ROWS": rows, "SEATRIAL_OUTPUT_SCORES": told.outputs["scores"]}
    argv = [sys.executable, "-m", "jobs.steps.predict", "--job", str(tmp_path / "job.json")]
    environment = {**os.environ, **variables, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE)
    parts, deadline = tmp_path / "scores" / predictions.PREDICTED, time.monotonic() + 120
    while len(list(parts.glob("*.parquet"))) < 5:
        assert process.poll() is None
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = {path.name: path.stat().st_mtime_ns for path in parts.glob("*.parquet")}
    assert 5 <= len(kept) < 100
    assert not (tmp_path / "scores/manifest.json").exists()
    subprocess.run(argv, env=environment, check=True, capture_output=True, timeout=120)
    assert {name: (parts / name).stat().st_mtime_ns for name in kept} == kept
    summary = json.loads((tmp_path / "outputs.json").read_text())["summary"]
    assert summary["made_before"] == 2000 * len(kept)
    manifest = predictions.load(str(tmp_path / "scores"), verify_files=True)
    assert (manifest.read, len(manifest.files)) == (200_000, 100)
    assert table(tmp_path)["row_id"].to_pylist() == list(range(50_000)) * 4
    whole = predict.work(context(store, tmp_path / "whole", params, rows=rows))
    assert whole.outputs["scores"].fingerprint == manifest.fingerprint


def test_parts_of_other_work_are_made_again_and_left_over_ones_go(store: Path, tmp_path: Path) -> None:
    predict.work(context(store, tmp_path, {"part": "test", "part_rows": 1}))
    (tmp_path / "scores" / predictions.REJECTED).mkdir()
    (tmp_path / "scores" / predictions.REJECTED / "part-00007.parquet").write_bytes(b"old")
    result = predict.work(context(store, tmp_path, {"part": "validation"}, fingerprint="f2"))
    assert (result.summary["made_before"], result.summary["rows"]) == (0, 600)
    assert predict_parts.listed(str(tmp_path / "scores")) == ["predictions/part-00000.parquet"]
    (tmp_path / "scores/predictions/part-00000.parquet").write_bytes(b"PAR1")
    assert predict.work(context(store, tmp_path, {"part": "validation"}, fingerprint="f2")).summary["made_before"] == 0
    (tmp_path / "scores/predictions/part-00000.parquet").write_bytes(b"PAR1")
    with pytest.raises(IntegrityError):
        predictions.load(str(tmp_path / "scores"), verify_files=True)


def test_everything_may_lie_in_an_object_store(store: Path, tmp_path: Path) -> None:
    with object_store.bucket() as bucket:
        storage.copy_folder(str(store / "bundle"), f"{bucket}/bundle", last=bundles.BUNDLE)
        storage.copy_folder(str(store / "data"), f"{bucket}/data", last=datasets.MANIFEST)
        made = context(store, tmp_path, {"part_rows": 700}, rows=f"{bucket}/data", output=f"{bucket}/scores")
        made.inputs = {**made.inputs, "bundle": f"{bucket}/bundle"}
        predict.work(made)
        assert predictions.load(f"{bucket}/scores", verify_files=True).predicted == 4000
        assert predict.work(made).summary["made_before"] == 4000


def test_the_step_needs_neither_torch_nor_ray_nor_pandas_and_memory_stays_bounded(store: Path, tmp_path: Path) -> None:
    """10 times the rows take no more memory: batches are dropped once they are scored."""
    rows = factories.make_rows(100_000).drop(["fold", "late", "moment"])
    peaks = {}
    for times in (1, 10):
        folder = tmp_path / str(times)
        folder.mkdir()
        with pq.ParquetWriter(folder / "rows.parquet", rows.schema) as writer:
            for _ in range(times):
                writer.write_table(rows, row_group_size=50_000)
        program = f"""
import resource, sys
from pathlib import Path
from tests.jobs.steps.test_predict import context, predict
predict.work(context(Path({str(store)!r}), Path({str(folder)!r}), {{"ids": ["row_id"], "part_rows": 50000}}, rows={str(folder / "rows.parquet")!r}))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
        peaks[times] = int(done.stdout) / 1024
    assert peaks[10] < peaks[1] + 60, f"{peaks} MiB"
    code = "import sys, jobs.steps.predict; print([name for name in ('torch', 'ray', 'pandas', 'mlflow') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() == "[]"
    assert pc.sum(table(tmp_path / "10")["label"]).as_py() > 0

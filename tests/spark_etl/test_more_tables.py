"""Tables without a header or packed with gzip, rolling splits, and the words of free texts."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.contracts.dataset import Manifest, Role, Split
from jobs.contracts.errors import InputError
from jobs.contracts.workload import Features, Output, RollingSplit, Table
from spark_etl import parts, raw, statistics

TABLE = Table("points", "points.csv.gz", {"x": "double", "y": "double"}, header=False)


def test_a_packed_file_without_a_header_gets_the_declared_one(tmp_path: Path) -> None:
    (tmp_path / "points.csv.gz").write_bytes(gzip.compress(b"1,2\n3,4\n"))
    file = raw.prepare(str(tmp_path), [TABLE], str(tmp_path / "work"))["points"]
    assert Path(file.path).read_bytes() == b"x,y\n1,2\n3,4\n"
    (tmp_path / "points.csv").write_bytes(b"5,6\n")
    plain = raw.prepare(str(tmp_path), [Table("plain", "points.csv", TABLE.columns, header=False)], str(tmp_path / "work"))["plain"]
    assert Path(plain.path).read_bytes() == b"x,y\n5,6\n"


def test_a_cut_off_gzip_is_told(tmp_path: Path) -> None:
    (tmp_path / "points.csv.gz").write_bytes(gzip.compress(b"1,2\n" * 1000)[:-20])
    with pytest.raises(InputError, match="the archive is broken"):
        raw.prepare(str(tmp_path), [TABLE], str(tmp_path / "work"))


def test_a_rolling_split_tests_each_window_with_what_came_before(sail: SparkSession) -> None:
    split = RollingSplit(validation="2024-03-01", origins=("2024-04-01", "2024-05-01"), start="2024-01-15")
    outputs = (Output("key", Role.KEY), Output("at", Role.TIME), Output("y", Role.LABEL))
    features = Features(tables=(), outputs=outputs, transform=lambda tables, params: tables["x"], split=split)
    days = ["2024-01-01", "2024-02-29", "2024-03-31", "2024-04-01", "2024-04-30", "2024-05-01", "2024-12-31"]
    rows = sail.createDataFrame([(day, 1) for day in days], "key string, y int").withColumn("at", F.col("key").cast("timestamp"))
    placed = rows.select("key", parts.part(features).alias("part"), parts.fold(features).alias("fold")).orderBy("key").collect()
    found = [(row["part"], row["fold"]) for row in placed]
    assert found == [("before_start", 0), ("train", 0), ("validation", 0), ("test", 1), ("test", 1), ("test", 2), ("test", 2)]
    method, boundaries = parts.boundaries(split)
    assert (method, boundaries["fold 2"], boundaries["test"], parts.count_folds(features)) == ("rolling", "2024-05-01", "2024-04-01", 3)
    shared = {"name": "x", "fingerprint": "f", "columns": (), "files": (), "inputs": {}}
    assert Manifest(**shared, split=Split(method=method, rows={}, folds=3)).learns_from(2) == (0, 1)
    assert Manifest(**shared, split=Split(method="time", rows={}, folds=3)).learns_from(1) == (0, 2)


def test_free_text_is_counted_by_words_and_rows() -> None:
    part = pads.InMemoryDataset(pa.table({"note": ["a b b", "A c 7", None, "c 42"]}))
    found = statistics.of_column(part, "note", text=True)
    assert (found.count, found.nulls) == (4, 1)
    assert found.categories == {"a": 2, "c": 2, "0": 1, "00": 1, "b": 1}

"""Parts, folds and statistics, by themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.contracts.dataset import Role
from jobs.contracts.workload import Features, Output, RandomSplit, TimeSplit
from spark_etl import parts, statistics

OUTPUTS = (Output("key", Role.KEY), Output("at", Role.TIME), Output("x", Role.FEATURE), Output("y", Role.LABEL))


def features(split: TimeSplit | RandomSplit, folds: int = 10) -> Features:
    return Features(tables=(), outputs=OUTPUTS, transform=lambda tables, params: tables["x"], split=split, folds=folds)


def test_rows_are_divided_by_their_time(sail: SparkSession) -> None:
    rows = sail.createDataFrame(
        [
            ("a", "2013-10-31 23:59:59", 1),
            ("b", "2013-11-01 00:00:00", 1),
            ("c", "2013-12-01 00:00:00", 0),
            ("d", "2012-12-31 12:00:00", 1),
            ("e", "2013-05-05 00:00:00", None),
        ],
        "key string, at string, y int",
    ).withColumn("at", F.col("at").cast("timestamp"))
    split = TimeSplit(validation="2013-11-01", test="2013-12-01", start="2013-01-01")
    found = {row["key"]: row["part"] for row in rows.select("key", parts.part(features(split)).alias("part")).collect()}
    assert found == {"a": "train", "b": "validation", "c": "test", "d": "before_start", "e": "no_label"}


def test_a_random_split_has_its_shares_and_depends_on_key_and_salt_alone(sail: SparkSession) -> None:
    rows = sail.range(20_000).select(F.col("id").cast("string").alias("key"), F.lit(1).alias("y"))

    def divided(salt: str) -> dict[str, str]:
        column = parts.part(features(RandomSplit(0.7, 0.1, salt)))
        return {row["key"]: row["part"] for row in rows.orderBy(F.desc("key")).select("key", column.alias("part")).collect()}

    first, again, salted = divided("a"), divided("a"), divided("b")
    shares = {part: sum(value == part for value in first.values()) / len(first) for part in ("train", "validation", "test")}
    assert shares == pytest.approx({"train": 0.7, "validation": 0.1, "test": 0.2}, abs=0.01)
    assert first == again
    assert first != salted


def test_small_types_become_plain_ones(sail: SparkSession) -> None:
    rows = sail.range(3).select(
        F.col("id").cast("string").alias("key"), F.timestamp_seconds("id").alias("at"), F.lit(1.5).cast("float").alias("x"), (F.col("id") > 1).alias("y")
    )
    types = dict(parts.divided(rows, features(RandomSplit())).dtypes)
    assert types == {"key": "string", "at": "timestamp", "x": "double", "y": "bigint", "fold": "bigint", "_part": "string"}


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_statistics_of_numbers_agree_with_numpy(tmp_path: Path, values: list[float | None]) -> None:
    pq.write_table(pa.table({"x": pa.array(values, pa.float64())}), tmp_path / "x.parquet")
    found = statistics.of_column(pads.dataset(tmp_path / "x.parquet"), "x")
    present = np.array([value for value in values if value is not None])
    assert (found.count, found.nulls) == (len(values), len(values) - present.size)
    if present.size:
        assert (found.min, found.max) == (present.min(), present.max())
        assert found.quantiles["0.25"] == pytest.approx(np.percentile(present, 25), rel=1e-12, abs=1e-12)
        assert found.mean == pytest.approx(present.mean(), rel=1e-9, abs=1e-9)
    assert (found.std is None) == (present.size < 2)


def test_statistics_of_text_count_values_most_frequent_first(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": ["b", "a", None, "b", "c", "a", "b"]}), tmp_path / "x.parquet")
    found = statistics.of_column(pads.dataset(tmp_path / "x.parquet"), "x")
    assert list(found.categories.items()) == [("b", 3), ("a", 2), ("c", 1)]
    assert found.nulls == 1

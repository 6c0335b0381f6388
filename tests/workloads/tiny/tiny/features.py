"""Points in groups: will the next reading be high? One table, one join-free transform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.contracts.dataset import Role
from jobs.contracts.workload import Expectation, Features, Output, Table, TimeSplit

POINTS = Table(
    name="points",
    file="points.csv",
    columns={"id": "bigint", "at": "timestamp", "x": "double", "y": "double", "cluster": "string", "hit": "bigint"},
    expectations=(Expectation("x_in_range", "x BETWEEN -10 AND 10"),),
    unique=("id",),
)


def build(params: Mapping[str, Any]) -> Features:
    """Half a year of points: four months to train, one to validate, one to test."""
    return Features(
        tables=(POINTS,),
        outputs=(
            Output("point", Role.KEY),
            Output("seen_at", Role.TIME, "UTC"),
            Output("cluster", Role.FEATURE, description="where it was seen"),
            Output("x", Role.FEATURE, "m"),
            Output("y", Role.FEATURE, "m"),
            Output("radius", Role.FEATURE, "m", "distance from the middle"),
            Output("is_hit", Role.LABEL, description="the point was hit"),
        ),
        transform=_transform,
        split=TimeSplit(validation="2024-05-01", test="2024-06-01"),
        folds=3,
    )


def _transform(tables: Mapping[str, DataFrame], params: Mapping[str, Any]) -> DataFrame:
    return tables["points"].select(
        F.col("id").cast("string").alias("point"),
        F.col("at").alias("seen_at"),
        "cluster",
        "x",
        "y",
        F.sqrt(F.col("x") * F.col("x") + F.col("y") * F.col("y")).alias("radius"),
        F.col("hit").alias("is_hit"),
    )

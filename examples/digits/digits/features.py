"""Scanned digits as rows: 64 grey values each, from the table that scikit-learn ships (UCI, optical recognition of handwritten digits)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.contracts.dataset import Role
from jobs.contracts.workload import Expectation, Features, Output, RandomSplit, Table

PIXELS = tuple(f"p{row}{column}" for row in range(8) for column in range(8))  # row by row from the top left

IMAGES = Table(
    name="images",
    file="digits.csv.gz",
    columns={**dict.fromkeys(PIXELS, "double"), "digit": "int"},
    expectations=(
        Expectation("digit_out_of_range", "digit between 0 and 9"),
        Expectation("pixel_out_of_range", " and ".join(f"{name} between 0 and 16" for name in PIXELS)),
    ),
    header=False,
)


def build(params: Mapping[str, Any]) -> Features:
    """One row per image. Its key is its content, so that an image that occurs twice falls in one part."""
    return Features(
        tables=(IMAGES,),
        outputs=(
            Output("image", Role.KEY, "", "hash of its pixels"),
            *(Output(name, Role.FEATURE, "", f"grey value of row {name[1]}, column {name[2]}, 0 to 16") for name in PIXELS),
            Output("digit", Role.LABEL, description="the digit that was written"),
        ),
        transform=_transform,
        split=RandomSplit(train=0.7, validation=0.1),
        folds=10,
    )


def _transform(tables: Mapping[str, DataFrame], params: Mapping[str, Any]) -> DataFrame:
    content = F.sha2(F.concat_ws(",", *(F.col(name).cast("int").cast("string") for name in PIXELS)), 256)
    return tables["images"].select(content.alias("image"), *PIXELS, F.col("digit").cast("string").alias("digit"))

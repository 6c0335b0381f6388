"""Messages as rows: one free text each. `python examples/text/fetch.py` gets them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.contracts.dataset import Role
from jobs.contracts.workload import Expectation, Features, Output, RandomSplit, Table

MESSAGES = Table(
    name="messages",
    file="messages.csv.gz",
    columns={"id": "string", "text": "string", "spam": "int"},
    expectations=(Expectation("no_text", "text is not null"), Expectation("spam_is_yes_or_no", "spam between 0 and 1")),
    unique=("id",),
)


def build(params: Mapping[str, Any]) -> Features:
    return Features(
        tables=(MESSAGES,),
        outputs=(
            Output("message", Role.KEY, "", "hash of its text"),
            Output("text", Role.FEATURE, "", "subject and body, without markup", private=True, text=True),
            Output("is_spam", Role.LABEL, description="nobody asked for it"),
        ),
        transform=_transform,
        split=RandomSplit(train=0.7, validation=0.1),
        folds=10,
    )


def _transform(tables: Mapping[str, DataFrame], params: Mapping[str, Any]) -> DataFrame:
    return tables["messages"].select(F.col("id").alias("message"), "text", F.col("spam").alias("is_spam"))

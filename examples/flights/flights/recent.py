"""What was known when: sums over past events, as they stood at the moment each question is asked.

Time is cut into ticks. An event counts from the first tick boundary at or after the second it became known; a
question looks from the last boundary at or before its own second. So an event is seen only if it was known by then,
and one window pass over distinct ticks serves every question: no join of questions with events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

FIVE_MINUTES, DAY = 300, 86_400  # ticks, in seconds
EVER = None  # a span without a beginning


def tick_of_question(at: Column, tick: int) -> Column:
    """Index of the last boundary at or before ``at`` (UTC epoch seconds)."""
    return F.floor(at / tick).cast("long")


def tick_of_event(at: Column, tick: int) -> Column:
    """Index of the first boundary at or after ``at`` (UTC epoch seconds)."""
    return F.ceil(at / tick).cast("long")


def known_sums(questions: DataFrame, events: DataFrame, *, by: Sequence[str], at: str, tick: int, totals: Mapping[str, tuple[str, int | None]]) -> DataFrame:
    """Sums of the events' measures over the spans that end at each question.

    ``questions`` has the columns ``by`` and ``at`` (a question's tick). ``events`` has ``by``, ``known_at`` (UTC epoch
    seconds, null = never known) and measures of integer type, so that no sum depends on the order of its terms.
    ``totals`` maps a new column to its measure and span in seconds. Returns one row per distinct question: ``by``,
    ``at`` and the totals, 0 where nothing happened.
    """
    measures = sorted({measure for measure, _ in totals.values()})
    happened = events.where("known_at is not null").select(*by, tick_of_event(F.col("known_at"), tick).alias(at), F.lit(0).alias("asked"), *measures)
    asked = questions.select(*by, at, F.lit(1).alias("asked"), *(F.lit(0).cast("long").alias(name) for name in measures))
    points = happened.unionByName(asked).groupBy(*by, at).agg(F.max("asked").alias("asked"), *(F.sum(name).alias(name) for name in measures))
    ordered = Window.partitionBy(*by).orderBy(at)
    sums = [F.sum(measure).over(ordered.rangeBetween(_reach(span, tick), Window.currentRow)).alias(name) for name, (measure, span) in totals.items()]
    return points.select(*by, at, "asked", *sums).where("asked = 1").drop("asked")


def _reach(span: int | None, tick: int) -> int:
    """How many ticks a span reaches back from the question's own tick, which is its first."""
    return Window.unboundedPreceding if span is None else 1 - span // tick


def mean(total: str, count: str) -> Column:
    """``total / count``; null where nothing was counted."""
    return F.when(F.col(count) > 0, F.col(total) / F.col(count))

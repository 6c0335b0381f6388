"""What was known when: sums over past events, as they stood at the moment each question is asked.

Time is cut into ticks. An event counts from the first tick boundary at or after the second it became known; a
question looks from the last boundary at or before its own second. So a question sees an event only if it was known by
then. Every event is copied to the ticks from which it is seen and the copies are added up: no sorting, no join of
questions with events, and the work grows with the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

HOUR, DAY = 3_600, 86_400  # seconds


def tick_of_question(at: Column, tick: int) -> Column:
    """Index of the last boundary at or before ``at`` (UTC epoch seconds)."""
    return F.floor(at / tick).cast("long")


def tick_of_event(at: Column, tick: int) -> Column:
    """Index of the first boundary at or after ``at`` (UTC epoch seconds)."""
    return F.ceil(at / tick).cast("long")


def known_sums(events: DataFrame, by: Sequence[str], at: str, tick: int, totals: Mapping[str, tuple[str, int]]) -> DataFrame:
    """Sums of the events' measures over the spans that end at each tick.

    ``events`` has the columns ``by``, ``known_at`` (UTC epoch seconds, null = never known) and measures of integer
    type, so that no sum depends on the order of its terms. ``totals`` maps a new column to its measure and its span
    in seconds, a multiple of ``tick``. Returns ``by``, ``at`` (the question's tick) and the totals, one row for each
    tick that sees an event.
    """
    measures = sorted({measure for measure, _ in totals.values()})
    ages = max(span for _, span in totals.values()) // tick
    happened = events.where("known_at is not null").withColumn("tick", tick_of_event(F.col("known_at"), tick))
    per_tick = happened.groupBy(*by, "tick").agg(*(F.sum(name).alias(name) for name in measures))
    seen = per_tick.withColumn("age", F.explode(F.array(*(F.lit(age) for age in range(ages)))))
    sums = [F.sum(F.when(F.col("age") < span // tick, F.col(measure)).otherwise(0)).alias(name) for name, (measure, span) in totals.items()]
    return seen.groupBy(*by, (F.col("tick") + F.col("age")).alias(at)).agg(*sums)


def under_way(spells: DataFrame, by: Sequence[str], at: str, tick: int) -> DataFrame:
    """How many spells are under way at each tick, and for how long.

    ``spells`` has ``by``, ``begin`` and ``end`` (UTC epoch seconds; the end is known when it happens). Returns ``by``,
    ``at``, ``waiting`` and ``waited`` (the sum of their minutes so far), one row for each tick with a spell under way.
    """
    first, last = tick_of_event(F.col("begin"), tick), tick_of_event(F.col("end"), tick) - 1
    long_enough = spells.withColumn("first", first).withColumn("last", last).where("last >= first")
    ticks = long_enough.withColumn(at, F.explode(F.sequence("first", "last")))
    waited = F.sum(F.col(at) * tick - F.col("begin")) / 60  # minutes
    return ticks.groupBy(*by, at).agg(F.count("*").alias("waiting"), waited.alias("waited"))


def together(keys: Sequence[str], *kinds: DataFrame) -> DataFrame:
    """Rows of several kinds as one table: a measure that a kind has not is 0."""
    measures = sorted({name for kind in kinds for name in kind.columns} - set(keys))
    parts = [kind.select(*keys, *(F.col(name) if name in kind.columns else F.lit(0).alias(name) for name in measures)) for kind in kinds]
    return reduce(DataFrame.unionByName, parts)


def mean(total: str, count: str) -> Column:
    """``total / count``; null where nothing was counted."""
    return F.when(F.col(count) > 0, F.col(total) / F.col(count))

"""Flights as moments in time: when each was to leave, when it left, when its arrival was certainly known."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from .recent import DAY, FIVE_MINUTES, tick_of_question

NOTICE = 2 * 3600  # seconds between the prediction (the as-of moment) and the scheduled departure
LATE = 15.0  # minutes; more than this is late
OVERDUE_FOR = 4 * 3600  # seconds that a flight which has not left is still waited for (most are cancelled by then)
TARMAC = 6 * 3600  # seconds; taxiing is limited by law to 3 hours at either end
DELAY_RANGE = (-30, 240)  # minutes; one stranded aircraft must not set an airport's mean
OUTCOMES = ("departed", "arrived", "dep_min", "arr_min")


def moments(flights: DataFrame, airports: DataFrame) -> DataFrame:
    """Add UTC epoch seconds ``sched``, ``asof``, ``departed``, ``arrived`` and what follows from them.

    ``arrived`` is never before the real arrival. The clock at both ends gives the elapsed time modulo a day; an
    airport that keeps no daylight saving may be an hour off, so it gets an hour more. Where the destination's time
    zone is unknown, air time and the longest legal taxi times bound it.
    """
    zone = airports.select("faa", F.col("tz").alias("zone"), F.when(F.col("dst") == "A", 0).otherwise(3600).alias("margin"))
    start = zone.select(F.col("faa").alias("origin"), F.col("zone").alias("origin_zone"))
    end = zone.select(F.col("faa").alias("dest"), F.col("zone").alias("dest_zone"), "margin")
    sched = F.unix_seconds("time_hour") + F.col("minute") * 60
    departed = F.col("sched") + F.col("dep_delay").cast("long") * 60
    flown = F.coalesce(_between("dep_time", "arr_time") * 60 + F.col("margin"), F.col("air_time") * 60 + TARMAC).cast("long")
    return (
        flights.join(start, "origin", "left")
        .join(end, "dest", "left")
        .withColumn("sched", sched)
        .withColumn("asof", F.col("sched") - NOTICE)
        .withColumn("departed", departed)
        .withColumn("arrived", F.when(F.col("arr_delay").isNotNull(), departed + flown))
        .withColumn("scheduled_minutes", _between("sched_dep_time", "sched_arr_time").cast("double"))
        .withColumn("dep_min", _clipped("dep_delay"))
        .withColumn("arr_min", _clipped("arr_delay"))
        .withColumn("asof_tick", tick_of_question(F.col("asof"), FIVE_MINUTES))
        .withColumn("sched_tick", tick_of_question(F.col("sched"), FIVE_MINUTES))
        .withColumn("asof_day", tick_of_question(F.col("asof"), DAY))
    )


def _minutes(hhmm: str) -> Column:
    """Minutes after midnight of a local time written hhmm."""
    return F.floor(F.col(hhmm) / 100) * 60 + F.col(hhmm) % 100


def _between(start: str, end: str) -> Column:
    """Minutes from a local time at the origin to a local time at the destination, less than a day."""
    zones = (F.col("origin_zone") - F.col("dest_zone")) * 60
    return F.pmod(_minutes(end) - _minutes(start) + zones, F.lit(1440))


def _clipped(delay: str) -> Column:
    low, high = DELAY_RANGE
    return F.greatest(F.lit(low), F.least(F.lit(high), F.col(delay))).cast("long")


def departures(flights: DataFrame, by: list[str]) -> DataFrame:
    """Departures, known when they happen."""
    late = (F.col("dep_delay") > LATE).cast("long")
    return flights.select(*by, F.col("departed").alias("known_at"), F.lit(1).cast("long").alias("left_n"), F.col("dep_min").alias("left_min"), late.alias("left_late"))


def arrivals(flights: DataFrame, by: list[str]) -> DataFrame:
    """Arrivals, known when they have certainly happened."""
    late = (F.col("arr_delay") > LATE).cast("long")
    return flights.select(*by, F.col("arrived").alias("known_at"), F.lit(1).cast("long").alias("come_n"), F.col("arr_min").alias("come_min"), late.alias("come_late"))


def overdue(flights: DataFrame, by: list[str]) -> DataFrame:
    """A flight past its time that has not left: +1 at its time, -1 when it leaves or is no longer waited for.

    Running totals: ``due_n`` flights overdue now, ``due_since`` the sum of their scheduled minutes.
    """
    end = F.least(F.coalesce("departed", F.col("sched") + OVERDUE_FOR), F.col("sched") + OVERDUE_FOR)
    waiting = flights.withColumn("end", end).where("end > sched")
    minute = F.floor(F.col("sched") / 60).cast("long")
    begins = waiting.select(*by, F.col("sched").alias("known_at"), F.lit(1).cast("long").alias("due_n"), minute.alias("due_since"))
    ends = waiting.select(*by, F.col("end").alias("known_at"), F.lit(-1).cast("long").alias("due_n"), (-minute).alias("due_since"))
    return begins.unionByName(ends)


def together(by: list[str], *kinds: DataFrame) -> DataFrame:
    """Events of several kinds as one: a measure that a kind has not is 0."""
    measures = sorted({name for kind in kinds for name in kind.columns} - {*by, "known_at"})
    zero = F.lit(0).cast("long")
    parts = [kind.select(*by, "known_at", *(F.col(name) if name in kind.columns else zero.alias(name) for name in measures)) for kind in kinds]
    return reduce(DataFrame.unionByName, parts)


def previous_leg(flights: DataFrame) -> DataFrame:
    """The aircraft's previous departure from here, as far as known at this flight's as-of moment; null without one in a day.

    Only departures from the origins in the data are seen: usually it flew out and back in between.
    """
    aircraft = Window.partitionBy("tailnum").orderBy("sched", "flight")
    before = ("sched", "departed", "arrived", "dep_min", "arr_min", "scheduled_minutes")
    legs = flights.where("tailnum is not null").select("flight_id", "asof", "year", "month", "day", "tailnum", "sched", "flight", *before[1:])
    for name in before:
        legs = legs.withColumn(f"last_{name}", F.lag(name).over(aircraft))
    today = Window.partitionBy("tailnum", "year", "month", "day").orderBy("sched", "flight")
    legs = legs.withColumn("legs", (F.row_number().over(today) - 1).cast("double")).withColumn("gap", F.col("sched") - F.col("last_sched"))
    recent = F.col("gap") <= DAY
    left = F.col("last_departed") <= F.col("asof")
    waiting = (F.col("asof") - F.col("last_sched")) / 60  # it should have left by now and has not: late by at least this
    delay = F.when(left, F.col("last_dep_min")).when(waiting >= 0, F.least(waiting, F.lit(DELAY_RANGE[1])))
    return legs.select(
        "flight_id",
        F.col("legs").alias("aircraft_legs_today"),
        F.when(recent, F.col("gap") / 60).alias("aircraft_gap"),
        F.when(recent, delay.cast("double")).alias("aircraft_departure_delay"),
        F.when(recent & (F.col("last_arrived") <= F.col("asof")), F.col("last_arr_min").cast("double")).alias("aircraft_arrival_delay"),
        F.when(recent, F.col("gap") / 60 - 2 * F.col("last_scheduled_minutes")).alias("aircraft_slack"),
    )

"""Flights as moments in time: when each was to leave, when it left, when its arrival was certainly known."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from .recent import DAY, HOUR, tick_of_question

NOTICE = 2 * 3600  # seconds between the prediction (the as-of moment) and the scheduled departure
TICK, HISTORY_TICK = 1800, 4 * DAY  # seconds: how finely the last hours and the last weeks are cut
LATE = 15.0  # minutes; more than this is late
OVERDUE_FOR = 4 * 3600  # seconds that a flight which has not left is still waited for (most are cancelled by then)
TARMAC = 6 * 3600  # seconds; taxiing is limited by law to 3 hours at either end
MOST_LEGS = 4  # earlier departures of an aircraft that are counted
DELAY_RANGE = (-30, 240)  # minutes; one stranded aircraft must not set an airport's mean


def scheduled(flights: DataFrame) -> DataFrame:
    """Add UTC epoch seconds ``sched``, ``asof`` and ``departed``, and the ticks of the question that each flight asks."""
    timed = flights.withColumn("sched", F.unix_seconds("time_hour") + F.col("minute") * 60).withColumn("asof", F.col("sched") - NOTICE)
    return timed.select(
        *("year", "month", "day", "hour", "minute", "dep_time", "sched_dep_time", "arr_time", "sched_arr_time", "air_time"),
        *("carrier", "flight", "tailnum", "origin", "dest", "distance", "sched", "asof", "dep_delay", "arr_delay"),
        (F.col("sched") + F.col("dep_delay").cast("long") * 60).alias("departed"),
        _clipped("dep_delay").alias("dep_min"),
        _clipped("arr_delay").alias("arr_min"),
        tick_of_question(F.col("asof"), TICK).alias("asof_tick"),
        tick_of_question(F.col("sched"), TICK).alias("sched_tick"),
        tick_of_question(F.col("asof"), HOUR).alias("asof_hour"),
        tick_of_question(F.col("asof"), DAY).alias("asof_day"),
        tick_of_question(F.col("asof"), HISTORY_TICK).alias("asof_week"),
    )


def with_arrival(flights: DataFrame, airports: DataFrame) -> DataFrame:
    """Add ``arrived`` (UTC epoch seconds, never before the real arrival), ``scheduled_minutes`` and the destination's place.

    The clocks at both ends give the elapsed time modulo a day; an airport that keeps no daylight saving may be an
    hour off, so it gets an hour more. Where the destination's time zone is unknown, air time and the longest legal
    taxi times bound it.
    """
    start = airports.select(F.col("faa").alias("origin"), F.col("tz").alias("origin_zone"))
    margin = F.when(F.col("dst") == "A", 0).otherwise(3600).alias("margin")
    end = airports.select(F.col("faa").alias("dest"), F.col("tz").alias("dest_zone"), margin, F.col("lat").alias("dest_lat"), F.col("lon").alias("dest_lon"))
    flown = F.coalesce(_between("dep_time", "arr_time") * 60 + F.col("margin"), F.col("air_time") * 60 + TARMAC).cast("long")
    arrived = F.when(F.col("arr_delay").isNotNull(), F.col("departed") + flown).alias("arrived")
    minutes = _between("sched_dep_time", "sched_arr_time").cast("double").alias("scheduled_minutes")
    placed = flights.join(start, "origin", "left").join(end, "dest", "left")
    return placed.select(*flights.columns, "dest_lat", "dest_lon", arrived, minutes)


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
    return flights.select(*by, F.col("departed").alias("known_at"), F.lit(1).alias("n"), F.col("dep_min").alias("minutes"), late.alias("late"))


def arrivals(flights: DataFrame, by: list[str]) -> DataFrame:
    """Arrivals, known when they have certainly happened."""
    late = (F.col("arr_delay") > LATE).cast("long")
    return flights.select(*by, F.col("arrived").alias("known_at"), F.lit(1).alias("n"), F.col("arr_min").alias("minutes"), late.alias("late"))


def overdue(flights: DataFrame, by: list[str]) -> DataFrame:
    """Flights past their time that have not left, until they leave or are no longer waited for."""
    given_up = F.col("sched") + OVERDUE_FOR
    return flights.select(*by, F.col("sched").alias("begin"), F.least(F.coalesce("departed", given_up), given_up).alias("end"))


def with_previous_leg(flights: DataFrame) -> DataFrame:
    """Add ``aircraft_*``: its previous departure from here, as far as known at this flight's as-of moment; null without one in a day.

    Only departures from the origins in the data are seen: usually it flew out and back in between.
    """
    aircraft = Window.partitionBy("tailnum").orderBy("sched", "flight")
    before = ("sched", "departed", "arrived", "dep_min", "arr_min", "scheduled_minutes")
    lags = [F.lag(name).over(aircraft).alias(f"last_{name}") for name in before]
    legs = sum((_counted(F.lag("sched", back).over(aircraft)) for back in range(1, MOST_LEGS + 1)), F.lit(0.0))
    known = flights.select("*", *lags, legs.alias("aircraft_legs_24h"))
    gap = F.col("sched") - F.col("last_sched")
    recent = (gap <= DAY) & F.col("tailnum").isNotNull()
    waiting = (F.col("asof") - F.col("last_sched")) / 60  # it should have left by now and has not: late by at least this
    delay = F.when(F.col("last_departed") <= F.col("asof"), F.col("last_dep_min")).when(waiting >= 0, F.least(waiting, F.lit(DELAY_RANGE[1])))
    arrival = F.when(F.col("last_arrived") <= F.col("asof"), F.col("last_arr_min"))
    return known.select(
        *flights.columns,
        F.when(F.col("tailnum").isNotNull(), F.col("aircraft_legs_24h")).alias("aircraft_legs_24h"),
        F.when(recent, gap / 60).alias("aircraft_gap"),
        F.when(recent, delay.cast("double")).alias("aircraft_departure_delay"),
        F.when(recent, arrival.cast("double")).alias("aircraft_arrival_delay"),
        F.when(recent, gap / 60 - 2 * F.col("last_scheduled_minutes")).alias("aircraft_slack"),
    )


def _counted(earlier: Column) -> Column:
    """1 for a leg scheduled within the day before this one."""
    return F.when(F.col("sched") - earlier <= DAY, 1.0).otherwise(0.0)

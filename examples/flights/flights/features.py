"""Flights to examples: two hours before scheduled departure, will this flight arrive more than 15 minutes late?

Every feature is known at the as-of moment (scheduled departure minus ``NOTICE``). Schedules, and which aircraft
flies, count as known in advance; departures, arrivals and weather count only once they have happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.contracts.dataset import Role
from jobs.contracts.errors import RequestError
from jobs.contracts.workload import Features, Output, RandomSplit, TimeSplit

from .dates import circle, days_since_holiday, days_to_holiday
from .events import HISTORY_TICK, LATE, TICK, arrivals, departures, overdue, scheduled, with_arrival, with_previous_leg
from .recent import DAY, HOUR, known_sums, mean, together, under_way
from .tables import TABLES

STALE = 3  # hours after which an old weather report says nothing


def _features(unit: str, **described: str) -> tuple[Output, ...]:
    return tuple(Output(name, Role.FEATURE, unit, description) for name, description in described.items())


OUTPUTS = (
    Output("flight_id", Role.KEY, "", "local date, scheduled time, origin, carrier, flight number"),
    Output("scheduled_departure", Role.TIME, "UTC", "the prediction is made two hours before"),
    *_features(
        "",
        carrier="two-letter code",
        origin="airport",
        dest="airport",
        weekday="Mon to Sun, local",
        manufacturer="of the aircraft",
        aircraft_model="of the aircraft",
    ),
    *_features("h", departure_hour="local scheduled departure, hours after midnight"),
    *_features("", day_sin="time of day", day_cos="time of day", year_sin="day of year", year_cos="day of year"),
    *_features("d", days_to_holiday="until the next holiday, at most 10", days_since_holiday="since the last holiday, at most 10"),
    *_features("mi", distance="between the airports"),
    *_features("min", scheduled_minutes="scheduled duration, gate to gate"),
    *_features("deg", dest_lat="destination's latitude", dest_lon="destination's longitude"),
    *_features("a", aircraft_age="years since manufacture"),
    *_features("", seats="of the aircraft", aircraft_legs_24h="departures of the aircraft scheduled in the day before, at most 4"),
    *_features("min", aircraft_gap="between the aircraft's previous scheduled departure and this one"),
    *_features("min", aircraft_departure_delay="of the previous leg, as far as known", aircraft_arrival_delay="of the previous leg, if known"),
    *_features("min", aircraft_slack="gap left after flying the previous leg there and back"),
    *_features("flights", origin_departures_1h="left this airport in the last hour", origin_overdue="past their time and not gone, this airport"),
    *_features("min", origin_delay_1h="mean departure delay, last hour", origin_overdue_minutes="waiting time of the overdue flights, summed"),
    *_features("1", origin_late_share_1h="departures over 15 minutes late, last hour"),
    *_features(
        "flights",
        origin_scheduled_around="scheduled in the half hours before, with and after this one",
        origin_scheduled_before="scheduled in the two hours before this one",
    ),
    *_features("min", carrier_delay_3h="mean departure delay, this carrier and airport, last 3 hours"),
    *_features("1", carrier_late_share_3h="departures over 15 minutes late, this carrier and airport, last 3 hours"),
    *_features("flights", carrier_overdue="past their time and not gone, this carrier and airport"),
    *_features("min", carrier_overdue_minutes="waiting time of the overdue flights, summed"),
    *_features("min", dest_delay_4h="mean departure delay to this destination, last 4 hours"),
    *_features("1", dest_late_share_4h="departures over 15 minutes late to this destination, last 4 hours"),
    *_features("min", dest_arrival_delay_6h="mean arrival delay at this destination, last 6 hours"),
    *_features("min", flight_arrival_delay_28d="mean of this flight number", route_arrival_delay_28d="mean of this carrier on this route"),
    *_features("1", flight_arrival_late_share_28d="of this flight number", route_arrival_late_share_28d="of this carrier on this route"),
    *_features("min", hour_arrival_delay_14d="mean of this airport's departures in this hour of the day"),
    *_features("1", hour_arrival_late_share_14d="of this airport's departures in this hour of the day"),
    *_features("F", temp="at the origin, last known", dewp="dew point"),
    *_features("%", humid="relative humidity"),
    *_features("mph", wind_speed="wind", wind_gust="gusts; null without"),
    *_features("", wind_dir_sin="direction the wind comes from", wind_dir_cos="direction the wind comes from"),
    *_features("in", precip="rain or melted snow in the hour", precip_3h="most in one of the last 3 hours"),
    *_features("mbar", pressure="at sea level", pressure_change_3h="over 3 hours"),
    *_features("mi", visib="visibility"),
    Output("late", Role.LABEL, "", "1 = arrived more than 15 minutes late"),
)

SPLITS: dict[str, TimeSplit | RandomSplit] = {"time": TimeSplit(validation="2013-11-01", test="2013-12-01"), "random": RandomSplit()}


def build(params: Mapping[str, Any]) -> Features:
    """``params``: ``split`` is "time" (train January to October, validate November, test December) or "random"."""
    split = params.get("split", "time")
    if split not in SPLITS:
        raise RequestError(f"no split {split!r}", where="params.split", hint="use time or random")
    return Features(tables=TABLES, outputs=OUTPUTS, transform=transform, split=SPLITS[split])


def transform(tables: Mapping[str, DataFrame], params: Mapping[str, Any]) -> DataFrame:
    """One row per scheduled flight with the columns of ``OUTPUTS``; ``late`` is null for cancelled and diverted flights."""
    planned = scheduled(tables["flights"])
    flown = with_arrival(planned, tables["airports"])
    examples = (
        with_previous_leg(flown)
        .join(_around(planned), ["origin", "sched_tick"], "left")
        .join(_now(planned, ["origin"], "origin", hours=1), ["origin", "asof_tick"], "left")
        .join(_now(planned, ["carrier", "origin"], "carrier", hours=3), ["carrier", "origin", "asof_tick"], "left")
        .join(_destination(flown), ["dest", "asof_hour"], "left")
        .join(_arrived(flown, ["carrier", "flight"], "flight", "asof_week", HISTORY_TICK, hours=28 * 24), ["carrier", "flight", "asof_week"], "left")
        .join(
            _arrived(flown, ["carrier", "origin", "dest"], "route", "asof_week", HISTORY_TICK, hours=28 * 24),
            ["carrier", "origin", "dest", "asof_week"],
            "left",
        )
        .join(_arrived(flown, ["origin", "hour"], "hour", "asof_day", DAY, hours=14 * 24), ["origin", "hour", "asof_day"], "left")
        .join(_weather(tables["weather"]), ["origin", "asof_hour"], "left")
        .join(_planes(tables["planes"]), "tailnum", "left")
        .join(_airlines(tables["airlines"]), "carrier", "left")
        .join(_calendar(planned), ["year", "month", "day"], "left")
    )
    age = F.greatest(F.col("year") - F.col("built"), F.lit(0)).cast("double").alias("aircraft_age")
    label = (F.col("arr_delay") > LATE).cast("long").alias("late")
    computed = examples.select("*", *_clock(), flight_id().alias("flight_id"), age, label, F.timestamp_seconds("sched").alias("scheduled_departure"))
    return computed.select(*(output.name for output in OUTPUTS))


def flight_id() -> Column:
    """The key: local date, scheduled time, origin, carrier, flight number."""
    date = F.concat_ws("-", "year", F.lpad(F.col("month").cast("string"), 2, "0"), F.lpad(F.col("day").cast("string"), 2, "0"))
    return F.concat_ws("-", date, F.lpad(F.col("sched_dep_time").cast("string"), 4, "0"), "origin", "carrier", "flight")


def _destination(flights: DataFrame) -> DataFrame:
    """Departures to this destination in the last hours and arrivals there, as known at the full hour: few an hour, so no finer."""
    left, came = departures(flights, ["dest"]), arrivals(flights, ["dest"])
    came = came.withColumnsRenamed({"n": "came", "minutes": "came_minutes", "late": "came_late"})
    spans = {"count": ("n", 4 * HOUR), "minutes": ("minutes", 4 * HOUR), "late": ("late", 4 * HOUR)}
    spans |= {"came": ("came", 6 * HOUR), "came_minutes": ("came_minutes", 6 * HOUR)}
    sums = known_sums(together(["dest", "known_at"], left, came), ["dest"], "asof_hour", HOUR, spans)
    return sums.select(
        *("dest", "asof_hour"),
        mean("minutes", "count").alias("dest_delay_4h"),
        mean("late", "count").alias("dest_late_share_4h"),
        mean("came_minutes", "came").alias("dest_arrival_delay_6h"),
    )


def _now(flights: DataFrame, by: list[str], name: str, hours: int) -> DataFrame:
    """Departures of the last hours (how many, their mean delay, the share that left late) and flights overdue now."""
    span = hours * HOUR
    left = known_sums(departures(flights, by), by, "asof_tick", TICK, {"count": ("n", span), "minutes": ("minutes", span), "late": ("late", span)})
    due = under_way(overdue(flights, by), by, "asof_tick", TICK)
    keys = [*by, "asof_tick"]
    both = together(keys, left, due).groupBy(*keys).agg(*(F.sum(total).alias(total) for total in _TOTALS))
    return both.select(
        *keys,
        F.col("count").cast("double").alias(f"{name}_departures_{hours}h"),
        mean("minutes", "count").alias(f"{name}_delay_{hours}h"),
        mean("late", "count").alias(f"{name}_late_share_{hours}h"),
        F.col("waiting").cast("double").alias(f"{name}_overdue"),
        F.col("waited").cast("double").alias(f"{name}_overdue_minutes"),
    )


_TOTALS = ("count", "minutes", "late", "waiting", "waited")


def _arrived(flights: DataFrame, by: list[str], name: str, at: str, tick: int, hours: int) -> DataFrame:
    """Arrivals of the last hours: their mean delay and the share that came late."""
    span, suffix = hours * HOUR, f"{hours}h" if hours < 24 else f"{hours // 24}d"
    sums = known_sums(arrivals(flights, by), by, at, tick, {"count": ("n", span), "minutes": ("minutes", span), "late": ("late", span)})
    return sums.select(
        *by, at, mean("minutes", "count").alias(f"{name}_arrival_delay_{suffix}"), mean("late", "count").alias(f"{name}_arrival_late_share_{suffix}")
    )


def _around(flights: DataFrame) -> DataFrame:
    """Departures scheduled from this airport in the half hours before, with and after this one, and in the two hours before."""
    ticks = flights.groupBy("origin", "sched_tick").agg(F.count("*").alias("planned"))
    ordered = Window.partitionBy("origin").orderBy("sched_tick")
    return ticks.select(
        *("origin", "sched_tick"),
        F.sum("planned").over(ordered.rangeBetween(-1, 1)).cast("double").alias("origin_scheduled_around"),
        F.sum("planned").over(ordered.rangeBetween(-4, 0)).cast("double").alias("origin_scheduled_before"),
    )


def _weather(weather: DataFrame) -> DataFrame:
    """The last full hour of weather known at each hour, for at most ``STALE`` hours.

    A report bears the hour in which it was observed (mostly at minute 51), so it is known when that hour has ended.
    """
    hour = F.floor(F.unix_seconds("time_hour") / HOUR).cast("long")
    ordered = Window.partitionBy("origin").orderBy("hour_index")
    near = ordered.rangeBetween(-STALE, 0)
    reports = weather.withColumn("hour_index", hour).select(
        "origin",
        (F.col("hour_index") + 1).alias("first"),
        (F.least(F.lead("hour_index").over(ordered), F.col("hour_index") + STALE)).alias("last"),
        *("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"),
        *circle(F.col("wind_dir"), 360, "wind_dir"),
        F.max("precip").over(near).alias("precip_3h"),
        (F.col("pressure") - F.first("pressure").over(near)).alias("pressure_change_3h"),
    )
    return reports.withColumn("asof_hour", F.explode(F.sequence("first", F.coalesce("last", F.col("first"))))).drop("first", "last")


def _planes(planes: DataFrame) -> DataFrame:
    return planes.select("tailnum", F.col("year").alias("built"), F.col("seats").cast("double"), "manufacturer", F.col("model").alias("aircraft_model"))


def _airlines(airlines: DataFrame) -> DataFrame:
    return airlines.select("carrier", F.col("name").alias("airline"))


def _calendar(flights: DataFrame) -> DataFrame:
    """What a local date tells, computed once for each date and not for each flight."""
    date = F.make_date("year", "month", "day")
    return (
        flights.select("year", "month", "day")
        .distinct()
        .select(
            *("year", "month", "day"),
            F.date_format(date, "E").alias("weekday"),
            *circle(F.dayofyear(date), 365.25, "year"),
            days_to_holiday(date).alias("days_to_holiday"),
            days_since_holiday(date).alias("days_since_holiday"),
        )
    )


def _clock() -> list[Column]:
    """Local time of the scheduled departure."""
    minute = F.col("hour") * 60 + F.col("minute")
    return [(minute / 60).alias("departure_hour"), *circle(minute, 1440, "day")]

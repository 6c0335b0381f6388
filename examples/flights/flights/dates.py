"""Calendar features of a local date and time: place in the day, week and year, and distance from holidays."""

from __future__ import annotations

import math

from pyspark.sql import Column
from pyspark.sql import functions as F

MONDAY, THURSDAY = 2, 5  # as dayofweek counts, Sunday = 1
FAR = 10  # days; beyond this a holiday makes no difference


def circle(value: Column, period: float, name: str) -> list[Column]:
    """A cyclic quantity as ``<name>_sin`` and ``<name>_cos``, so that its end meets its beginning."""
    angle = value * (2 * math.pi / period)
    return [F.sin(angle).alias(f"{name}_sin"), F.cos(angle).alias(f"{name}_cos")]


def days_to_holiday(date: Column) -> Column:
    """Whole days until the next holiday, 0 on the day itself, at most ``FAR``."""
    return _nearest([F.datediff(holiday, date) for holiday in _holidays(date)])


def days_since_holiday(date: Column) -> Column:
    """Whole days since the last holiday, 0 on the day itself, at most ``FAR``."""
    return _nearest([F.datediff(date, holiday) for holiday in _holidays(date)])


def _nearest(distances: list[Column]) -> Column:
    return F.least(F.lit(FAR), *(F.when(distance >= 0, distance).otherwise(FAR) for distance in distances)).cast("double")


def _holidays(date: Column) -> list[Column]:
    """The holidays of the United States around which people fly, of the date's year, and its neighbours' nearest."""
    year = F.year(date)

    def day(month: int, number: int, shift: int = 0) -> Column:
        return F.make_date(year + shift, F.lit(month), F.lit(number))

    memorial = F.date_sub(_weekday_from(day(6, 1), MONDAY), 7)  # last Monday of May
    labor = _weekday_from(day(9, 1), MONDAY)
    thanksgiving = F.date_add(_weekday_from(day(11, 1), THURSDAY), 21)  # fourth Thursday
    return [day(12, 25, -1), day(1, 1), memorial, day(7, 4), labor, thanksgiving, day(12, 25), day(1, 1, 1)]


def _weekday_from(first: Column, weekday: int) -> Column:
    """The first such weekday on or after ``first``."""
    return F.date_add(first, F.pmod(F.lit(weekday) - F.dayofweek(first), F.lit(7)).cast("int"))

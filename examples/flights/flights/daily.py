"""How late will an airport's flights arrive tomorrow, on average? One row per airport and day, asked at midnight before it.

The evaluation rolls: each month from September on may be predicted by what earlier months taught, and by nothing later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from torch import Tensor, nn

from jobs.contracts.dataset import Manifest, Role
from jobs.contracts.workload import Features, Model, Output, RollingSplit
from jobs.steps import tabular

from .dates import days_since_holiday, days_to_holiday
from .tables import FLIGHTS, WEATHER

MOST = 180  # minutes; one stranded flight must not set an airport's mean
LAGS = (1, 2, 3, 7, 14)  # days
SPANS = (7, 28)  # days
NETWORK = {"hidden": 24, "dropout": 0.3, "learning_rate": 1e-2, "weight_decay": 0.5, "max_epochs": 30}
OUTPUTS = (
    Output("airport_day", Role.KEY, "", "airport and local date"),
    Output("day", Role.TIME, "", "local date; asked at its first second"),
    Output("airport", Role.FEATURE, "", "where the flights leave"),
    Output("weekday", Role.FEATURE, "", "Mon to Sun"),
    Output("days_to_holiday", Role.FEATURE, "d", "until the next holiday, at most 10"),
    Output("days_since_holiday", Role.FEATURE, "d", "since the last holiday, at most 10"),
    Output("planned", Role.FEATURE, "flights", "scheduled for the day"),
    *(Output(f"delay_{lag}d", Role.FEATURE, "min", f"mean arrival delay {lag} days before") for lag in LAGS),
    *(Output(f"delay_mean_{span}d", Role.FEATURE, "min", f"mean arrival delay of the {span} days before") for span in SPANS),
    Output("cancelled_1d", Role.FEATURE, "1", "share of flights that never arrived, the day before"),
    Output("precip_1d", Role.FEATURE, "in", "rain or melted snow, the day before"),
    Output("wind_1d", Role.FEATURE, "mph", "mean wind, the day before"),
    Output("pressure_1d", Role.FEATURE, "mbar", "mean pressure at sea level, the day before"),
    Output("delay", Role.LABEL, "min", "mean arrival delay of the day's flights"),
)


def build(params: Mapping[str, Any]) -> Features:
    return Features(
        tables=(FLIGHTS, WEATHER),
        outputs=OUTPUTS,
        transform=_transform,
        split=RollingSplit(validation="2013-08-01", origins=("2013-09-01", "2013-10-01", "2013-11-01", "2013-12-01"), start="2013-01-29"),
    )


def _transform(tables: Mapping[str, DataFrame], params: Mapping[str, Any]) -> DataFrame:
    date = F.make_date("year", "month", "day")
    days = _days(tables["flights"]).join(_weather(tables["weather"]), ["origin", "year", "month", "day"], "left")
    before = Window.partitionBy("origin").orderBy("date")
    lagged = [F.lag("delay", lag).over(before).alias(f"delay_{lag}d") for lag in LAGS]
    lagged += [F.lag(name).over(before).alias(f"{name}_1d") for name in ("cancelled", "precip", "wind", "pressure")]
    spans = [_mean_before(before, span).alias(f"delay_mean_{span}d") for span in SPANS]
    rows = days.withColumn("date", date).select(
        F.concat_ws("-", "origin", F.col("date").cast("string")).alias("airport_day"),
        F.col("date").cast("timestamp").alias("day"),
        F.col("origin").alias("airport"),
        F.date_format("date", "E").alias("weekday"),
        days_to_holiday(F.col("date")).alias("days_to_holiday"),
        days_since_holiday(F.col("date")).alias("days_since_holiday"),
        *("planned", "delay"),
        *lagged,
        *spans,
    )
    return rows.select(*(output.name for output in OUTPUTS))


def _days(flights: DataFrame) -> DataFrame:
    """One row per airport and local day; sums of whole minutes, so that no mean depends on the order of its terms."""
    minutes = F.least(F.lit(MOST), F.col("arr_delay")).cast("long")
    arrived, planned = F.count(minutes), F.count("*")
    return flights.groupBy("origin", "year", "month", "day").agg(
        planned.cast("double").alias("planned"),
        (F.sum(minutes) / arrived).alias("delay"),
        ((planned - arrived) / planned).alias("cancelled"),
    )


def _weather(weather: DataFrame) -> DataFrame:
    hundredths, tenths = F.sum((F.col("precip") * 100).cast("long")), F.sum((F.col("pressure") * 10).cast("long"))
    return weather.groupBy("origin", "year", "month", "day").agg(
        (hundredths / 100).alias("precip"),
        (F.sum((F.col("wind_speed") * 1000).cast("long")) / F.count("wind_speed") / 1000).alias("wind"),
        (tenths / F.count("pressure") / 10).alias("pressure"),
    )


def _mean_before(days: Any, span: int) -> Column:
    return F.avg("delay").over(days.rowsBetween(-span, -1))


class Persistence(nn.Module):
    """A share of yesterday's delay and of the last month's mean: what a planner would say without a model."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)
        nn.init.constant_(self.layer.weight, 0.5)
        nn.init.zeros_(self.layer.bias)

    def forward(self, categorical: Tensor, numeric: Tensor) -> Tensor:
        return self.layer(torch.nan_to_num(numeric)).squeeze(1)


def network(manifest: Manifest, params: Mapping[str, Any]) -> Model:
    chosen = tabular.options(NETWORK, params)
    texts, numbers = tabular.columns(manifest)
    vocabularies = tabular.vocabularies(texts)
    sizes = [len(values) for values in vocabularies.values()]
    module = tabular.InUnits(tabular.Logistic(sizes, tabular.statistics_of(numbers)), manifest.label)
    return _model("daily-delay", module, vocabularies, tuple(column.name for column in numbers), chosen)


def persistence(manifest: Manifest, params: Mapping[str, Any]) -> Model:
    chosen = tabular.options({"learning_rate": 1e-2, "weight_decay": 0.0, "max_epochs": 30}, params)
    return _model("daily-delay-baseline", Persistence(), {}, ("delay_1d", "delay_mean_28d"), chosen)


def _model(name: str, module: nn.Module, vocabularies: dict[str, list[str]], numbers: tuple[str, ...], chosen: dict[str, Any]) -> Model:
    return Model(
        name=name,
        module=module,
        categorical=tuple(vocabularies),
        numeric=numbers,
        vocabularies=vocabularies,
        learning_rate=chosen["learning_rate"],
        weight_decay=chosen["weight_decay"],
        max_epochs=chosen["max_epochs"],
        patience=chosen["max_epochs"],
        task="forecast",
    )

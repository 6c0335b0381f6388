"""One query on five engines: ``python -m benchmarks.core_query ENGINE FOLDER``; ENGINE is sail, spark, duckdb, polars or pandas.

Two joins and a window over the tables in FOLDER as plain CSV, read as text like the ETL does, written as Parquet with two threads. Prints one JSON
line: seconds of the query in an engine that is up, seconds until it was up, and rows and a sum, by which the engines' answers can be compared.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.dataset as ds

TABLES = ("flights", "planes", "weather")
THREADS = 2
SQL = """
SELECT f.origin, f.carrier, f.distance, p.seats, w.visib, w.wind_speed,
       avg(CAST(f.dep_delay AS DOUBLE)) OVER (PARTITION BY f.tailnum ORDER BY f.time_hour, f.flight ROWS BETWEEN 10 PRECEDING AND 1 PRECEDING) AS recent
FROM flights f LEFT JOIN planes p ON f.tailnum = p.tailnum LEFT JOIN weather w ON f.origin = w.origin AND f.time_hour = w.time_hour
"""
_COLUMNS = ["origin", "carrier", "distance", "seats", "visib", "wind_speed", "recent"]
Query = Callable[[], None]
_OPENED = ExitStack()  # closed when the program ends


def on_sail(folder: Path, target: Path) -> Query:
    return _on_spark_client("sail", folder, target)


def on_spark(folder: Path, target: Path) -> Query:
    return _on_spark_client("spark", folder, target)


def _on_spark_client(engine: str, folder: Path, target: Path) -> Query:
    from spark_etl.engines import open_session

    session = _OPENED.enter_context(open_session(engine, cores=THREADS, brief=True))

    def query() -> None:
        for name in TABLES:
            session.read.csv(str(folder / f"{name}.csv"), header=True).replace("NA", None).createOrReplaceTempView(name)
        session.sql(SQL).write.parquet(str(target))

    return query


def on_duckdb(folder: Path, target: Path) -> Query:
    import duckdb

    database = duckdb.connect()
    database.execute(f"SET threads = {THREADS}")

    def query() -> None:
        for name in TABLES:
            database.execute(f"CREATE VIEW {name} AS SELECT * FROM read_csv('{folder / name}.csv', all_varchar = true, nullstr = 'NA')")
        target.mkdir()
        database.execute(f"COPY ({SQL}) TO '{target / 'part.parquet'}' (FORMAT parquet)")

    return query


def on_polars(folder: Path, target: Path) -> Query:
    os.environ["POLARS_MAX_THREADS"] = str(THREADS)
    import polars as pl

    def query() -> None:
        flights, planes, weather = (pl.scan_csv(folder / f"{name}.csv", infer_schema=False, null_values="NA") for name in TABLES)
        recent = pl.col("dep_delay").cast(pl.Float64).shift(1).rolling_mean(10, min_samples=1)
        target.mkdir()
        (
            flights.with_columns(recent.over("tailnum", order_by=["time_hour", "flight"]).alias("recent"))
            .join(planes.select("tailnum", "seats"), on="tailnum", how="left")
            .join(weather.select("origin", "time_hour", "visib", "wind_speed"), on=["origin", "time_hour"], how="left")
            .select(_COLUMNS)
            .sink_parquet(target / "part.parquet")
        )

    return query


def on_pandas(folder: Path, target: Path) -> Query:
    import pandas as pd

    def query() -> None:
        flights, planes, weather = (pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False, na_values=["NA"]) for name in TABLES)
        flights = flights.sort_values(["tailnum", "time_hour", "flight"])
        before = pd.to_numeric(flights["dep_delay"]).groupby(flights["tailnum"], dropna=False).shift(1)
        recent = before.groupby(flights["tailnum"], dropna=False).rolling(10, min_periods=1).mean()
        flights["recent"] = recent.reset_index(level=0, drop=True)
        whole = flights.merge(planes[["tailnum", "seats"]].dropna(subset=["tailnum"]), on="tailnum", how="left")
        whole = whole.merge(weather[["origin", "time_hour", "visib", "wind_speed"]], on=["origin", "time_hour"], how="left")
        target.mkdir()
        whole[_COLUMNS].to_parquet(target / "part.parquet")

    return query


ENGINES: dict[str, Callable[[Path, Path], Query]] = {"sail": on_sail, "spark": on_spark, "duckdb": on_duckdb, "polars": on_polars, "pandas": on_pandas}


def main() -> None:
    engine, folder = sys.argv[1], Path(sys.argv[2])
    target = folder / f"core-{engine}-{os.getpid()}"
    started = time.perf_counter()
    with _OPENED:
        query = ENGINES[engine](folder, target)
        ready = time.perf_counter()
        query()
        done = time.perf_counter()
    written = ds.dataset(str(target), format="parquet").to_table(columns=["recent"])["recent"]
    told = {"seconds": done - ready, "start": ready - started, "rows": len(written), "sum": round(float(pc.sum(written).as_py()), 3)}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()

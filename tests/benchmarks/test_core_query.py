"""All engines give one answer to the query that compares them."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.core_query import ENGINES
from benchmarks.measuring import python

FLIGHTS = "time_hour,flight,tailnum,origin,carrier,distance,dep_delay\n" + "".join(
    f"2013-01-{1 + n // 20:02}T{n % 20:02}:00:00Z,{n},{'NA' if n % 7 == 0 else f'N{n % 3}'},{('JFK', 'EWR')[n % 2]},UA,{100 + n},{'NA' if n % 5 == 0 else n}\n"
    for n in range(200)
)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    (folder / "flights.csv").write_text(FLIGHTS)
    (folder / "planes.csv").write_text("tailnum,seats\nN0,100\nN1,150\n")
    (folder / "weather.csv").write_text("origin,time_hour,visib,wind_speed\nJFK,2013-01-01T01:00:00Z,10,5\n")
    return folder


@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "spark"])  # Spark takes ten seconds to start; the benchmark itself compares it
def test_an_engine_gives_the_common_answer(tables: Path, engine: str) -> None:
    told = python("-m", "benchmarks.core_query", engine, str(tables)).told()
    assert (told["rows"], told["sum"]) == (200, _expected())


def _expected() -> float:
    """The sum of the means of up to ten earlier delays of the same aircraft, in plain Python."""
    rows = [line.split(",") for line in FLIGHTS.splitlines()[1:]]
    earlier: dict[str, list[float | None]] = {}
    total = 0.0
    for row in rows:  # they are in the order of time
        past = earlier.setdefault(row[2], [])
        known = [delay for delay in past[-10:] if delay is not None]
        total += sum(known) / len(known) if known else 0.0
        past.append(None if row[6] == "NA" else float(row[6]))
    return round(total, 3)

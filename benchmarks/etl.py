"""What the ETL costs: ``python -m benchmarks.etl [--engines sail spark] [--repeat 3] [--times 10]``.

1. From a cold process to the published dataset, real tables, beside a bare script (``bare_etl``): medians and their ratio.
2. How the time grows to ``--times`` the rows, beside DuckDB on one shared core query (joins and a window).
Needs two idle cores: a busy machine shows as a spread of the runs, which is printed too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from benchmarks.scale_flights import SOURCE, scale
from jobs.contracts import storage
from jobs.contracts.job import Job
from spark_etl.engines import open_session

REPOSITORY = Path(__file__).parents[1]
CODE = REPOSITORY / "examples" / "flights"
LIMITS = {"sail": 8.0, "spark": 45.0}  # seconds; and at most 1.3 times the bare script
CORE = """
SELECT f.origin, f.carrier, f.distance, p.seats, w.visib, w.wind_speed,
       avg(CAST(f.dep_delay AS DOUBLE)) OVER (PARTITION BY f.tailnum ORDER BY f.time_hour, f.flight ROWS BETWEEN 10 PRECEDING AND 1 PRECEDING) AS recent
FROM flights f LEFT JOIN planes p ON f.tailnum = p.tailnum LEFT JOIN weather w ON f.origin = w.origin AND f.time_hour = w.time_hour
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="*", default=["sail", "spark"], choices=list(LIMITS))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--times", type=int, default=10)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-etl-") as folder:
        work = Path(folder)
        for engine in given.engines:
            beside_bare(work, engine, given.repeat)
        growth(work, given.times, given.repeat)


def beside_bare(work: Path, engine: str, repeat: int) -> None:
    """Seatrial and the bare script in turn, each in a cold process."""
    ours, bare = [], []
    for number in range(repeat):
        ours.append(seconds(lambda n=number: step(work, engine, SOURCE, f"{engine}-{n}")))
        bare.append(seconds(lambda n=number: script(work, engine, SOURCE, f"{engine}-{n}")))
    ratio = statistics.median(a / b for a, b in zip(ours, bare, strict=True))
    print(f"{engine}: {spread(ours)} (at most {LIMITS[engine]:.0f} s), bare script {spread(bare)}, ratio {ratio:.2f} (at most 1.30)", flush=True)


def growth(work: Path, times: int, repeat: int) -> None:
    """The ETL and the core query at one and at ``times`` the rows."""
    scale(times, work / "scaled")
    raw = {1: SOURCE, times: str(work / "scaled")}
    etl = {n: [seconds(lambda n=n, r=r: step(work, "sail", raw[n], f"grown-{n}-{r}", "random")) for r in range(repeat)] for n in raw}
    print(f"ETL on sail: 1x {spread(etl[1])}, {times}x {spread(etl[times])}: {statistics.median(etl[times]) / statistics.median(etl[1]):.1f} times", flush=True)
    staged = {n: unpack(work / f"plain-{n}", folder) for n, folder in raw.items()}
    for name, query in (("sail", core_on_sail), ("duckdb", core_on_duckdb)):
        core = {n: [seconds(lambda n=n: query(staged[n])) for _ in range(repeat)] for n in raw}  # noqa: B023 - called before the next query
        print(f"core query on {name}: 1x {spread(core[1])}, {times}x {spread(core[times])}", flush=True)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} s ({min(values):.1f} to {max(values):.1f})"


def step(work: Path, engine: str, raw: str, name: str, split: str = "time") -> None:
    """The etl step in a process of its own, as every target starts it."""
    folder = work / "steps" / name
    folder.mkdir(parents=True)
    facts = {"pipeline": "bench", "run": "bench", "step": "features", "kind": "etl", "entry": "flights.features:build", "params": {"split": split}}
    job = Job.model_validate(facts | {"resources": {"workers": 2, "memory": "1Gi"}, "inputs": ["raw"], "outputs": ["dataset"], "fingerprint": name})
    (folder / "job.json").write_text(job.model_dump_json())
    places = {"SEATRIAL_INPUT_RAW": raw, "SEATRIAL_OUTPUT_DATASET": str(work / "datasets" / name), "SEATRIAL_CODE": str(CODE), "SEATRIAL_ENGINE": engine}
    start([sys.executable, "-m", "spark_etl.job", "--job", str(folder / "job.json")], places)


def script(work: Path, engine: str, raw: str, name: str) -> None:
    start([sys.executable, "-m", "benchmarks.bare_etl", "--engine", engine, "--raw", raw, "--to", str(work / "bare" / name)], {})


def start(argv: list[str], places: dict[str, str]) -> None:
    path = {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{CODE}"}
    answer = subprocess.run(argv, cwd=REPOSITORY, env=os.environ | path | places, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise SystemExit(f"{' '.join(argv)} ended with {answer.returncode}:\n{answer.stderr[-3000:]}")


def unpack(target: Path, source: str) -> Path:
    """The three tables of the core query as plain CSV files."""
    folder = Path(storage.resolve(source))
    target.mkdir()
    for name in ("planes.csv", "weather.csv"):
        (target / name).write_bytes((folder / name).read_bytes())
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(folder / "flights.csv.zip"), str(target)], check=True)
    return target


def core_on_sail(folder: Path) -> None:
    with open_session("sail", cores=2) as session:
        for name in ("flights", "planes", "weather"):
            session.read.csv(str(folder / f"{name}.csv"), header=True).replace("NA", None).createOrReplaceTempView(name)  # type: ignore[arg-type]
        session.sql(CORE).write.mode("overwrite").parquet(str(folder / "core-sail"))


def core_on_duckdb(folder: Path) -> None:
    with duckdb.connect() as database:
        database.execute("SET threads = 2")
        for name in ("flights", "planes", "weather"):
            database.execute(f"CREATE VIEW {name} AS SELECT * FROM read_csv('{folder / name}.csv', all_varchar = true, nullstr = 'NA')")
        database.execute(f"COPY ({CORE}) TO '{folder / 'core.parquet'}' (FORMAT parquet)")


if __name__ == "__main__":
    main()

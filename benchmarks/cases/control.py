"""What Seatrial itself takes, without any engine: the command line, a plan, a submission, a thousand recorded jobs."""

from __future__ import annotations

import json
import statistics
import time
from functools import partial
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.comparing import Comparison, Figure
from benchmarks.measuring import REPOSITORY, Ended, Sample, python
from jobs.contracts.states import JobState
from jobs.control.handles import Handles
from jobs.control.home import Home
from jobs.control.plan import Plan

FILE = str(REPOSITORY / "examples" / "flights" / "pipeline.yaml")
JOBS = 1_000


def run(bench: Bench) -> None:
    home = bench.work / "control"
    home.mkdir()
    rounds = bench.repeats(3, 9)
    comparison = Comparison("control", "`seatrial --help`, beside an empty Python", "s", "seatrial")
    bench.compare(comparison, {"seatrial": partial(_command, home, "--help"), "python -c pass": lambda: Sample(python("-c", "pass").seconds)}, rounds)
    for title, words in {"plan of the flights pipeline": ("plan", FILE), "plans for all targets": ("plan", FILE, "--on", "all")}.items():
        bench.note(Figure("control", title, statistics.median(_command(home, *words).value for _ in range(rounds)), "s"))
    submit_to_running(bench, home)
    _record_jobs(home)
    bench.note(Figure("control", f"listing {JOBS:,} recorded jobs", statistics.median(_command(home, "jobs").value for _ in range(rounds)), "s"))


def submit_to_running(bench: Bench, home: Path) -> None:
    """From the command to a job that this machine runs, as another process sees it."""
    started = time.perf_counter()
    told = json.loads(_seatrial(home, "submit", FILE, "--step", "features", "--on", "local", "--output", "json").output)
    taken = time.perf_counter() - started
    while (state := JobState(json.loads(_seatrial(home, "status", told["handle"], "--output", "json").output)["state"])) != JobState.RUNNING:
        if state.is_final:
            raise SystemExit(f"the job was {state} before it was seen to run")
    bench.note(Figure("control", "`seatrial submit` of a step", taken, "s"))
    bench.note(Figure("control", "submit until another process sees it run", time.perf_counter() - started, "s", "status in a process of its own included"))
    _seatrial(home, "stop", told["handle"])


def _record_jobs(home: Path) -> None:
    handles = Handles(Home(home / ".seatrial"))
    for number in range(JOBS):
        plan = Plan("local", f"flights-{number:05}", "train", f"local://bench/{number}", str(home), (), {})
        handles.record(plan, "flights", "train")
        handles.update(plan.handle, JobState.SUCCEEDED)


def _command(home: Path, *words: str) -> Sample:
    return Sample(_seatrial(home, *words).seconds)


def _seatrial(home: Path, *words: str) -> Ended:
    return python("-m", "jobs.control.cli", *words, environment={"PYTHONPATH": str(REPOSITORY), "SEATRIAL_HOME": str(home / ".seatrial")}, folder=home)

"""Runs the drills: ``python -m drills [NAME ...] [--times N] [--soak MINUTES] [--output FILE] [--on kubernetes]``."""

from __future__ import annotations

import argparse
import importlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from drills import on_kubernetes
from drills.on_kubernetes.harbour import Harbour, enter
from drills.sandbox import Sandbox, make_sandbox
from drills.story import Failed, Skipped, Story

Place = Callable[[Path], AbstractContextManager[Any]]  # a folder to what a drill works on
# In the order in which a reader meets them.
DRILLS = (
    "kill_worker",
    "kill_driver",
    "kill_ray",
    "kill_client",
    "pause_worker",
    "corrupt_checkpoint",
    "corrupt_dataset",
    "full_disk",
    "lose_registry",
    "publish_twice",
    "sigterm_stages",
    "kill_replica",
    "poison_requests",
)


@dataclass
class Verdict:
    name: str
    passed: bool
    seconds: float
    story: Story
    error: str = ""
    skipped: str = ""

    @property
    def word(self) -> str:
        return "skipped" if self.skipped else "passed" if self.passed else "FAILED"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m drills", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(DRILLS)}; on kubernetes {', '.join(on_kubernetes.DRILLS)}; default: all")
    parser.add_argument("--times", type=int, default=1, help="how often in a row")
    parser.add_argument("--soak", type=float, default=0, metavar="MINUTES", help="repeat drills in random order for this long")
    parser.add_argument("--output", type=Path, help="write the record as JSON lines")
    parser.add_argument(
        "--on", choices=["local", "kubernetes"], default="local", help="kubernetes: the current kubeconfig context, where Seatrial is installed"
    )
    parser.add_argument("--namespace", default="seatrial", help="on kubernetes")
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="KEY=VALUE", help="on kubernetes: of every job, such as its images")
    given = parser.parse_args()
    known = DRILLS if given.on == "local" else on_kubernetes.DRILLS
    names = [name.replace("-", "_") for name in given.names] or list(known)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"no drill {unknown[0]!r} on {given.on}; there are {', '.join(known)}")
    place = _local if given.on == "local" else partial(_cluster, namespace=given.namespace, sets=given.sets)
    verdicts = []
    for name in _order(names, given.times, given.soak):
        verdicts.append(perform(name, place))
        if given.output:
            _record(given.output, verdicts[-1])
    print_table(verdicts)
    return 0 if all(verdict.passed for verdict in verdicts) else 1


def _order(names: list[str], times: int, minutes: float) -> Iterator[str]:
    if not minutes:
        yield from names * times
        return
    deadline = time.monotonic() + 60 * minutes
    while True:
        for name in random.sample(names, len(names)):  # each equally often
            if time.monotonic() > deadline:
                return
            yield name


def perform(name: str, place: Place | None = None) -> Verdict:
    """``place`` makes what the drill works on; default: a sandbox on this machine."""
    make, package = place or _local, "drills.on_kubernetes" if name in on_kubernetes.DRILLS else "drills"
    module = importlib.import_module(f"{package}.{name}")
    print(f"\n{name}: {module.BREAKS}\n  should: {module.EXPECTS}", flush=True)
    story, started, error, skipped = Story(lambda text: print(text, flush=True)), time.monotonic(), "", ""
    with tempfile.TemporaryDirectory(prefix=f"drill-{name}-", ignore_cleanup_errors=True) as folder:
        try:
            with make(Path(folder)) as works_on:
                module.drill(works_on, story)
        except Skipped as reason:
            skipped = str(reason)
            print(f"  skipped: {skipped}", flush=True)
        except (Failed, AssertionError, subprocess.TimeoutExpired) as failed:
            error = str(failed)
            print(f"  FAILED: {error}", flush=True)
    return Verdict(name, not error, time.monotonic() - started, story, error, skipped)


@contextmanager
def _local(folder: Path) -> Iterator[Sandbox]:
    sea = make_sandbox(folder)
    try:
        yield sea
    finally:
        for process in sea.processes():
            with suppress(psutil.Error):  # it has ended by itself
                process.kill()


@contextmanager
def _cluster(folder: Path, namespace: str, sets: Sequence[str]) -> Iterator[Harbour]:
    yield enter(folder, namespace, sets)


def _record(file: Path, verdict: Verdict) -> None:
    told = asdict(verdict)
    told["story"].pop("tell")
    with file.open("a") as stream:
        stream.write(json.dumps({"at": time.strftime("%Y-%m-%dT%H:%M:%S"), **told}) + "\n")


def print_table(verdicts: list[Verdict]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("drill", "verdict", "faults", "survived", "rows lost", "requests", "failed", "recovered after", "took")
    for each in verdicts:
        story = each.story
        recovered = f"{max(story.recoveries):.1f} s" if story.recoveries else "-"
        counts = (story.faults, story.survived, story.rows_lost, story.requests, story.requests_failed)
        table.add_row(each.name, each.word, *map(str, counts), recovered, f"{each.seconds:.0f} s")
    Console(width=None if sys.stdout.isatty() else 140).print(table)


if __name__ == "__main__":
    sys.exit(main())

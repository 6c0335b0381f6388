"""Seatrial beside what one would pick instead: ``python -m benchmarks [CASE ...] [--full] [--rounds N] [--output FOLDER] [--readme]``.

    etl        the flights features beside a bare script; one core query on five engines, at 1, 3, 10 (30) times the rows
    training   rows per second beside a bare loop, torchrun and Ray Data; scaling, start-up, checkpoints, memory
    serving    requests per second and latency beside FastAPI and Ray Serve's defaults, single rows and columns
    voyage     `seatrial run` beside its bare engine steps
    control    plan, submit to running, a thousand recorded jobs

Every comparison runs its contenders in turn, several times. Results go to the terminal, to bench.json, bench.md and bench.png. Where the machine
was too noisy, nothing is compared: the times are shown, the ratios are not.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
import traceback
from pathlib import Path

from benchmarks import machine, results
from benchmarks.bench import Bench
from benchmarks.noise import idle_share

CASES = ("control", "etl", "training", "voyage", "serving")  # later ones use what earlier ones made
_BUSY = 0.8  # of the processors must be idle before anything begins
_PATIENCE = 5  # looks of two seconds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; default: all")
    parser.add_argument("--full", action="store_true", help="more scale, more rounds, both engines: about an hour")
    parser.add_argument("--rounds", type=int, default=0, help="how often each contender is measured; default: the case's own number")
    parser.add_argument("--output", type=Path, default=Path("dist/bench"), help="folder of the results")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md as well")
    parser.add_argument("--busy", action="store_true", help="begin although other programs use the processors")
    given = parser.parse_args()
    if unknown := set(given.cases) - set(CASES):
        parser.error(f"no case {min(unknown)!r}; there are {', '.join(CASES)}")
    if not given.busy and not _is_idle():
        print("other programs use the processors: nothing measured now would mean anything. Stop them, or say --busy.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        bench = Bench(Path(folder), given.full, given.rounds)
        failed = [name for name in given.cases or CASES if not _run(name, bench)]
    told = machine.describe()
    files = results.write(bench, told, given.output)
    print(f"\n{results.table(bench, told)}\n" + "\n".join(map(str, files)))
    if failed:
        print(f"not measured whole: {', '.join(failed)}", file=sys.stderr)
        return 1
    if given.readme:
        results.into_readme(results.table(bench, told), Path("README.md"))
    return 0


def _run(name: str, bench: Bench) -> bool:
    """Whether the case ended well; one that did not costs the others nothing."""
    started = time.monotonic()
    print(f"\n{name}", flush=True)
    try:
        importlib.import_module(f"benchmarks.cases.{name}").run(bench)
    except (Exception, SystemExit):
        traceback.print_exc()
        return False
    print(f"  took {time.monotonic() - started:.0f} s", flush=True)
    return True


def _is_idle() -> bool:
    return any(idle_share() >= _BUSY for _ in range(_PATIENCE))


if __name__ == "__main__":
    sys.exit(main())

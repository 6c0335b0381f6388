"""Starts the processes of one host of a distribution, each with its ranks; the first that fails ends the others.

    launch.py PyTorch|Mpi|TensorFlow COUNT COMMAND...

Run as a script by a bare interpreter, standard library only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time


def main() -> int:
    kind, count, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    node = int(os.environ.get("NODE_RANK", "0"))
    children = [subprocess.Popen(command, env=os.environ | _ranks(kind, node * count + local, local)) for local in range(count)]

    def end(*_: object) -> None:
        for child in children:
            if child.poll() is None:
                child.terminate()

    signal.signal(signal.SIGTERM, end)
    while any(child.poll() is None for child in children):
        if any(child.poll() for child in children):
            end()
        time.sleep(0.02)
    codes = [child.returncode for child in children if child.returncode]
    return 0 if not codes else codes[0] if codes[0] > 0 else 128 - codes[0]


def _ranks(kind: str, rank: int, local: int) -> dict[str, str]:
    if kind == "Mpi":
        return {"OMPI_COMM_WORLD_RANK": str(rank), "OMPI_COMM_WORLD_LOCAL_RANK": str(local), "RANK": str(rank), "LOCAL_RANK": str(local)}
    return {"RANK": str(rank), "LOCAL_RANK": str(local)} if kind == "PyTorch" else {}


if __name__ == "__main__":
    sys.exit(main())

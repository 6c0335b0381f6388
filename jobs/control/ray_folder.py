"""Where a Ray on this machine keeps its files. Its owner removes them; what an owner that was killed has left, the next one does."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp, mkstemp

from jobs.control.locks import held

PLACE = Path("/tmp")  # noqa: S108 - short: Ray's socket paths must stay below 107 characters
PREFIX, OWNER = "seatrial-ray-", "owner"


@contextmanager
def ray_folder() -> Iterator[str]:
    """A new folder, gone afterwards. This process holds a lock in it, which ends with the process, however that ends."""
    remove_left()
    folder = Path(mkdtemp(prefix=PREFIX, dir=PLACE))
    descriptor, place = mkstemp(prefix=".lock-", dir=folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.rename(place, folder / OWNER)  # under this name only once it is locked
        yield str(folder)
    finally:
        _remove(folder)
        os.close(descriptor)


def left() -> list[Path]:
    """Folders whose owner has gone; none that this user may not write, none without a lock file."""
    return [lock.parent for lock in PLACE.glob(f"{PREFIX}*/{OWNER}") if os.access(lock, os.W_OK) and not held(lock)]


def remove_left() -> None:
    for folder in left():
        _remove(folder)


def _remove(folder: Path) -> None:
    for _ in range(20):  # Ray's last processes may still write while they end
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)

"""Where a Ray on this machine keeps its files. Its owner removes them; what an owner that was killed has left, the next one does."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp, mkstemp

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


def remove_left() -> None:
    """Remove the folders whose owner has gone. Those of other users, and those without a lock file, stay."""
    for lock in PLACE.glob(f"{PREFIX}*/{OWNER}"):
        with suppress(OSError), lock.open("rb") as stream:
            if lock.stat().st_uid == os.getuid():
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(lock.parent)


def _remove(folder: Path) -> None:
    for _ in range(20):  # Ray's last processes may still write while they end
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)

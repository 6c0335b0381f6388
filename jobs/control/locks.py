"""Whether a lock file's owner lives. The system lets go of a dead one's lock by itself."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def held(lock: Path) -> bool:
    """Whether a process holds this lock (``flock``)."""
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)

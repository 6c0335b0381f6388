"""The first process of a host, as ``docker run --init`` has one: mounts, name, cores; then the command, and the end of everything.

Run as a script by a bare interpreter (standard library only, ``-I -S``, so that it starts in 20 ms). Standard input is the line to
the service: one JSON document first, then ``T`` (SIGTERM to the command) or ``K`` (kill the host). Its end, however it comes about,
kills the host: nothing outlives the service.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

_BIND, _RECURSIVE, _DETACH = 0x1000, 0x4000, 2  # MS_BIND, MS_REC, MNT_DETACH of <sys/mount.h>
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of <linux/prctl.h>: orphans become children of this process
_NOT_FOUND = 127
_temporary: list[str] = []  # without namespaces: the host's temporary folder, which goes with it even if the service has gone before


def main() -> None:
    with open(0, "rb", buffering=0, closefd=False) as line:  # unbuffered: what follows the document is for _obey
        spec = json.loads(line.readline())
    if spec["namespaces"]:
        _furnish(spec)
    else:
        _temporary.append(spec["temporary"])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
        if spec["cores"]:
            os.sched_setaffinity(0, spec["cores"])
    try:
        child = subprocess.Popen(spec["command"], env=spec["environment"], cwd=spec["folder"], stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        print(f"exec: {spec['command'][0]}: {error.strerror}", file=sys.stderr, flush=True)
        _end(_NOT_FOUND)
    threading.Thread(target=_obey, args=(child.pid,), daemon=True).start()
    _end(_reap(child.pid))


def _furnish(spec: dict[str, Any]) -> None:
    """Name, ``/etc/hosts`` and mounts, in namespaces that are this host's own."""
    with suppress(OSError):
        socket.sethostname(spec["name"])
    stage = Path(spec["stage"])
    stage.mkdir(parents=True, exist_ok=True)
    for inside, here in spec["mounts"].items():
        if not os.path.exists(inside):
            _make_room(Path(inside), stage)
        _mount(here, inside)
    names = stage / "hosts"
    names.write_text("127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in spec["hosts"].items()))
    _mount(str(names), "/etc/hosts")


def _make_room(missing: Path, stage: Path) -> None:
    """Make a mount point where nothing is: a folder in memory takes the place of its parent and shows what the parent had."""
    parent = missing.parent
    if not parent.exists():
        _make_room(parent, stage)
    if os.access(parent, os.W_OK) and _is_memory(parent):
        missing.mkdir()
        return
    old = stage / "old"
    old.mkdir(exist_ok=True)
    _mount(str(parent), str(old))
    entries = sorted(old.iterdir())
    _mount("tmpfs", str(parent), kind="tmpfs", flags=0)
    for entry in entries:
        shown = parent / entry.name
        if entry.is_symlink():
            shown.symlink_to(os.readlink(entry))
        elif entry.is_dir():
            shown.mkdir()
            _mount(str(entry), str(shown))
        elif entry.is_file():
            shown.touch()
            _mount(str(entry), str(shown))
    _libc().umount2(str(old).encode(), _DETACH)
    missing.mkdir(exist_ok=True)


def _is_memory(folder: Path) -> bool:
    """Whether an earlier :func:`_make_room` made this folder: then a new entry touches nothing outside."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return any(line.split()[4] == str(folder) and line.split(" - ")[1].startswith("tmpfs tmpfs") for line in lines)


def _mount(source: str, target: str, kind: str = "none", flags: int = _BIND | _RECURSIVE) -> None:
    if _libc().mount(source.encode(), target.encode(), kind.encode(), flags, None):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _obey(child: int) -> None:
    while word := os.read(0, 1):
        if word == b"T":
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
        elif word == b"K":
            break
    _end(128 + signal.SIGKILL)


def _reap(child: int) -> int:
    """Wait for the command, and for orphans on the way; its exit code."""
    while True:
        try:
            pid, status = os.wait()
        except ChildProcessError:  # the other thread is killing and reaping; it ends this process
            return 128 + signal.SIGKILL
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _end(code: int) -> None:
    """Kill whatever is left. The end of a process namespace's first process does so by itself."""
    if os.getpid() != 1:
        while left := _descendants(os.getpid()):
            for pid in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                while os.waitpid(-1, 0)[0]:
                    pass
    for folder in _temporary:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(code)


def _descendants(root: int) -> list[int]:
    """Living processes below this one, but for the ``ps`` that lists them."""
    lister = subprocess.Popen(["ps", "-A", "-o", "pid=,ppid=,stat="], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    rows = [line.split() for line in lister.communicate()[0].splitlines()]
    below, found = {str(root)}, list[int]()
    while new := [row[0] for row in rows if row[1] in below and row[0] not in below and not row[2].startswith("Z")]:
        below.update(new)
        found += [int(pid) for pid in new if int(pid) != lister.pid]
    return found


if __name__ == "__main__":
    main()

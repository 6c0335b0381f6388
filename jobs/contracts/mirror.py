"""A step's folder in an object store: the step works in a folder on its own machine, whose files are kept in the store.

A store cannot append to a file, and a worker that is killed leaves no disk behind. So what must outlive a worker
(``metrics.jsonl``, ``checkpoints/``) is copied to the store every few seconds and once more at the end, in that order, so
that a checkpoint in the store never lacks the metrics of its epochs. A new worker begins with what lies there.

A file has one writer at a time. Each file is one PUT: other readers see the old one or the new one. A file is deleted in
the store only by the mirror that had it and saw it go: a worker thought lost removes nothing of its successor's.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from pyarrow import fs as arrow_fs

from jobs.contracts import storage
from jobs.contracts.errors import InputError, SeatrialError

EVERY = 2.0  # seconds between two looks; what a killed worker loses at most
log = logging.getLogger(__name__)

_Stamp = tuple[int, int]  # modification time in ns, size in bytes


class Mirror:
    """Files and folders ``names`` of the local ``folder``, and their copies below ``uri``."""

    def __init__(self, folder: Path, uri: str, names: Sequence[str]) -> None:
        self.folder, self.uri = folder, uri
        self._names = names
        self._same: dict[str, _Stamp] = {}  # files that are equal here and in the store, as they stood here
        self._lock = threading.Lock()

    def fetch(self) -> None:
        """Bring what lies in the store; files of the same name are replaced here."""
        with self._lock:
            for name in self._stored():
                with suppress(InputError):  # an old checkpoint, pruned since it was listed
                    storage.copy(storage.join(self.uri, name), str(self.folder / name))
                    self._same[name] = _stamp(self.folder / name)

    def push(self) -> None:
        """Bring what changed here to the store, then delete there what went away here.

        Errors: StorageError or InputError when the store does not take it; the next push tries again.
        """
        with self._lock:
            for path in list(self._here()):  # listed before the first is read: a checkpoint that appears meanwhile goes next time, after its metrics
                self._upload(path)
            for name in [name for name in self._same if not (self.folder / name).exists()]:
                storage.remove(storage.join(self.uri, name))
                del self._same[name]

    @contextmanager
    def following(self) -> Iterator[None]:
        """Push in the background, and once more at the end, however it ends."""
        end = threading.Event()
        thread = threading.Thread(target=self._follow, args=(end,), daemon=True, name="mirror")
        thread.start()
        try:
            yield
        except BaseException:
            self._try_to_push()  # the error under way says more than a store that is away
            raise
        else:
            self.push()
        finally:
            end.set()
            thread.join()

    def _follow(self, end: threading.Event) -> None:
        while not end.wait(EVERY):
            self._try_to_push()

    def _try_to_push(self) -> None:
        try:
            self.push()
        except (SeatrialError, OSError) as error:
            log.warning("the step's folder could not be brought up to date in the store: %s", error)

    def _upload(self, path: Path) -> None:
        name = path.relative_to(self.folder).as_posix()
        try:
            stamp = _stamp(path)  # before reading: what is added meanwhile makes another stamp, and goes next time
            if self._same.get(name) != stamp:
                storage.copy(str(path), storage.join(self.uri, name))
                self._same[name] = stamp
        except (FileNotFoundError, InputError):
            if path.exists():
                raise
            # An old checkpoint, pruned since it was listed.

    def _here(self) -> Iterator[Path]:
        for name in self._names:
            place = self.folder / name
            if place.is_dir():
                yield from (path for path in sorted(place.iterdir()) if path.is_file() and not path.name.startswith("."))
            elif place.exists():
                yield place

    def _stored(self) -> Iterator[str]:
        for name in self._names:
            where = storage.join(self.uri, name)
            kind = storage.stat(where).type
            if kind == arrow_fs.FileType.Directory:
                yield from (f"{name}/{file}" for file in storage.list_files(where))
            elif kind == arrow_fs.FileType.File:
                yield name


@contextmanager
def scratch(uri: str, names: Sequence[str], *, writes: bool = True) -> Iterator[Mirror]:
    """A new local folder with what lies at ``uri``; gone afterwards. ``writes``: the store follows what happens in it."""
    with TemporaryDirectory(prefix="seatrial-step-", ignore_cleanup_errors=True) as folder:
        mirror = Mirror(Path(folder), uri, names)
        mirror.fetch()
        if writes:
            with mirror.following():
                yield mirror
        else:
            yield mirror


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return status.st_mtime_ns, status.st_size

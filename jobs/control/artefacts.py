"""The bundle of a registered version, as files that this process can read.

A registry of this machine, or one that keeps its artefacts in a bucket, names a place that is read where it is. A server
that hands them out itself (``mlflow server --serve-artifacts``) names ``mlflow-artifacts:/…``: such a bundle is copied once, to

    <cache>/bundles/<its fingerprint>/    complete and verified, because the folder is renamed into place last

``<cache>`` is that of the home, or of SEATRIAL_HOME, or else a folder of this user's among the temporary files.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urlsplit

from jobs.contracts import bundle as bundles
from jobs.contracts import storage
from jobs.contracts.bundle import BUNDLE, Bundle
from jobs.contracts.errors import InputError, IntegrityError, SeatrialError, SetupError, from_os_error
from jobs.control import mlflow_http
from jobs.control.mlflow_http import ServerError
from jobs.control.registry_reader import ModelVersion

SCHEME = "mlflow-artifacts:"
KEPT = 16  # bundles in a cache; those that were used longest ago go first
_ABANDONED = 3600.0  # seconds after which an unfinished copy has no owner any more
_ENDPOINT = "/api/2.0/mlflow-artifacts/artifacts"
_DIGEST = re.compile(r"[0-9a-f]{64}")


def fetch(version: ModelVersion, cache: Path | None = None) -> str:
    """Where this process can read a version's bundle.

    Errors: StorageError when the server does not answer, InputError when it has no such bundle, IntegrityError when its bytes are not
    those that were registered.
    """
    return fetch_uri(version.uri, version.server, fingerprint=version.fingerprint, cache=cache)


def fetch_uri(uri: str, server: str, *, fingerprint: str = "", cache: Path | None = None) -> str:
    """The same for a location alone. ``server``: MLflow's address; ``fingerprint``: which bundle it has to be, where that is known."""
    if not uri.startswith(SCHEME):
        return uri
    folder = _folder(cache)
    if fingerprint and _holds(folder, fingerprint):
        return str(folder / fingerprint)
    with _scratch(folder) as temporary:
        bundle = _take_description(uri, server, temporary)
        if fingerprint not in ("", bundle.fingerprint):
            raise IntegrityError("the registry hands out another bundle than was registered", where=uri, hint="register and promote the bundle again")
        final = folder / bundle.fingerprint
        if not _holds(folder, bundle.fingerprint):
            _take_files(uri, server, bundle, temporary)
            storage.publish_folder(temporary, final)
    _forget_old(folder)
    return str(final)


def describe(version: ModelVersion) -> Bundle:
    """``bundle.json`` as the registry has it now; the other files are not looked at."""
    if not version.uri.startswith(SCHEME):
        return bundles.load(version.uri, verify_files=False)
    with tempfile.TemporaryDirectory(prefix="seatrial-") as folder:
        return _take_description(version.uri, version.server, Path(folder))


def verify(version: ModelVersion) -> Bundle:
    """Check every byte as the registry has it now, whatever copies there are.

    Errors: as :func:`fetch`.
    """
    if not version.uri.startswith(SCHEME):
        return bundles.load(version.uri)
    with tempfile.TemporaryDirectory(prefix="seatrial-") as folder:
        bundle = _take_description(version.uri, version.server, Path(folder))
        _take_files(version.uri, version.server, bundle, Path(folder))
        return bundle


# Copies


def _folder(cache: Path | None) -> Path:
    if cache is None and (home := os.environ.get("SEATRIAL_HOME")):
        cache = Path(home) / "cache"
    return (cache or _private(Path(tempfile.gettempdir()) / f"seatrial-{os.getuid()}")) / "bundles"


def _private(folder: Path) -> Path:
    """A folder with a name that everybody can guess, of which nobody else may be the owner."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise from_os_error(error, str(folder)) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise SetupError("others can write to this folder", where=str(folder), hint="remove it, or set SEATRIAL_HOME to a folder of your own")
    return folder


def _holds(folder: Path, fingerprint: str) -> bool:
    """Whether a copy is there and whole. One that is damaged is put away, so that it is made again."""
    copy = folder / fingerprint
    if not _DIGEST.fullmatch(fingerprint) or not copy.is_dir():
        return False
    try:
        if bundles.load(str(copy)).fingerprint == fingerprint:
            os.utime(copy)
            return True
    except (SeatrialError, OSError):
        pass
    discarded = folder / f".{fingerprint}.{uuid.uuid4().hex[:8]}"
    try:
        copy.rename(discarded)
    except FileNotFoundError:  # somebody else was faster
        return False
    except OSError as error:
        raise from_os_error(error, str(copy)) from error
    shutil.rmtree(discarded, ignore_errors=True)
    return False


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    temporary = folder / f".new.{uuid.uuid4().hex[:8]}"
    try:
        temporary.mkdir(parents=True)
        yield temporary
    except OSError as error:
        raise from_os_error(error, str(folder)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _forget_old(folder: Path) -> None:
    try:
        found = sorted(((path.stat().st_mtime, path) for path in folder.iterdir()), reverse=True)
    except OSError:  # another process forgets too
        return
    whole = [path for _, path in found if not path.name.startswith(".")]
    abandoned = [path for changed, path in found if path.name.startswith(".") and time.time() - changed > _ABANDONED]
    for path in [*whole[KEPT:], *abandoned]:
        shutil.rmtree(path, ignore_errors=True)


# What the server hands out


def _take_description(uri: str, server: str, folder: Path) -> Bundle:
    _take(uri, server, BUNDLE, folder)
    return bundles.load(str(folder), verify_files=False)


def _take_files(uri: str, server: str, bundle: Bundle, folder: Path) -> None:
    for name, digest in bundle.files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name:
            raise IntegrityError(f"bundle.json names a file outside the bundle: {name!r}", where=uri, hint="register another version")
        if _take(uri, server, name, folder) != digest:
            raise IntegrityError(
                "the file does not match its SHA-256 in bundle.json",
                where=storage.join(uri, name),
                hint="was the transfer cut off? If the next try says the same, train again",
            )


def _take(uri: str, server: str, name: str, folder: Path) -> str:
    """Copy one file; its SHA-256."""
    url, anonymous = _address(storage.join(uri, name), server)
    digest, target = hashlib.sha256(), folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("wb") as stream:
            for piece in mlflow_http.chunks(url, anonymous=anonymous):
                digest.update(piece)
                stream.write(piece)
    except ServerError as error:
        if error.status != 404:
            raise
        raise InputError("the registry does not have this file of the bundle", where=storage.join(uri, name), hint="register the bundle again") from error
    return digest.hexdigest()


def _address(uri: str, server: str) -> tuple[str, bool]:
    """URL of an artefact, and whether it is on another host than MLflow: that one is not given MLflow's credentials."""
    if not mlflow_http.is_server(server):
        raise SetupError("this bundle lies on an MLflow server whose address is not known", where=uri, hint="set MLFLOW_TRACKING_URI to it")
    place, base = urlsplit(uri), urlsplit(server)
    host = place.netloc or base.netloc
    return f"{base.scheme}://{host}{base.path.rstrip('/')}{_ENDPOINT}/{quote(place.path.lstrip('/'), safe='/%')}", host != base.netloc

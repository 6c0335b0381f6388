"""The store in a blob datastore, from outside: ``azureml://datastores/<name>/paths/<path>``. What is no such location is read as it is."""

from __future__ import annotations

import re
import shutil
import uuid
from pathlib import Path, PurePosixPath
from typing import Any

from cloud.azureml.client import Azure
from cloud.azureml.errors import is_absent, translate
from jobs.contracts import fingerprint, storage
from jobs.contracts.errors import InputError, from_os_error
from jobs.control import staging
from jobs.control.plan import Upload

_LOCATION = re.compile(r"azureml://datastores/([A-Za-z0-9_]+)/paths/(.+)")


class BlobStore:
    def __init__(self, azure: Azure, cache: Path) -> None:
        self._azure, self._cache = azure, cache

    def _open(self, uri: str) -> tuple[Any, str] | None:
        found = _LOCATION.fullmatch(uri.rstrip("/"))
        return (self._azure.container(found[1]), found[2]) if found else None

    def read(self, uri: str) -> bytes:
        """Errors: InputError when it is not there."""
        from azure.core.exceptions import HttpResponseError

        place = self._open(uri)
        if place is None:
            return storage.read_bytes(uri)
        container, path = place
        with translate(uri):
            try:
                return bytes(container.download_blob(path).readall())
            except HttpResponseError as error:
                if is_absent(error):
                    raise InputError("no such file in the target's store", where=uri, hint="check whether the step that makes it has finished") from error
                raise

    def exists(self, uri: str) -> bool:
        place = self._open(uri)
        if place is None:
            return storage.exists(uri)
        container, path = place
        with translate(uri):
            return bool(container.get_blob_client(path).exists()) or bool(self._names(container, path, limit=1))

    def write(self, uri: str, data: bytes) -> None:
        container, path = self._must(uri)
        with translate(uri):
            container.upload_blob(path, data, overwrite=True)

    def remove(self, uri: str) -> None:
        """Harmless when it is not there."""
        from azure.core.exceptions import HttpResponseError

        container, path = self._must(uri)
        with translate(uri):
            try:
                container.delete_blob(path)
            except HttpResponseError as error:
                if not is_absent(error):
                    raise

    def bring(self, upload: Upload) -> bool:
        """Send an upload's files, unless they are there. Returns whether anything was sent."""
        container, path = self._must(upload.target)
        marker = f"{path}/{staging.COMPLETE}"
        with translate(upload.target):
            if container.get_blob_client(marker).exists():
                return False
            for source, name in staging.files_of(upload):
                with source.open("rb") as stream:
                    container.upload_blob(f"{path}/{name}", stream, overwrite=True)
            container.upload_blob(marker, upload.fingerprint.encode(), overwrite=True)
        return True

    def fetch(self, uri: str) -> str:
        """A local copy of a file or folder.

        Errors: InputError when nothing is there.
        """
        place = self._open(uri)
        if place is None:
            return staging.local_copy(uri, self._cache)
        container, path = place
        final = self._cache / fingerprint.of(f"{self._azure.where} {uri}")
        temporary = final.with_name(f".{final.name}.{uuid.uuid4().hex[:8]}")
        try:
            with translate(uri):
                names = self._names(container, path)
                if not names and not container.get_blob_client(path).exists():
                    raise InputError("no such file or folder in the target's store", where=uri, hint="check whether the step that makes it has finished")
                for name in names or [path]:
                    target = temporary / (name.removeprefix(path).lstrip("/") or PurePosixPath(path).name)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("wb") as stream:
                        container.download_blob(name).readinto(stream)
            shutil.rmtree(final, ignore_errors=True)
            storage.publish_folder(temporary, final)
        except OSError as error:
            raise from_os_error(error, str(final)) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return str(final if names else final / PurePosixPath(path).name)

    def _names(self, container: Any, path: str, limit: int = 0) -> list[str]:
        found: list[str] = []
        for name in container.list_blob_names(name_starts_with=f"{path}/"):
            found.append(name)
            if limit and len(found) == limit:
                break
        return found

    def _must(self, uri: str) -> tuple[Any, str]:
        place = self._open(uri)
        if place is None:
            raise InputError("this is no location in a datastore", where=uri, hint="write azureml://datastores/<name>/paths/<folder>")
        return place

"""Blob storage on this disk: a blob is a file below ``blobs/<container>/``, so that a job's mount and a client's blob are one thing.

Two containers: the workspace's blob store and its artefact store. What is not the bytes (content type, metadata) lies in
``facts/``; staged blocks in ``blocks/`` until a list commits them. A name cannot be a blob and a folder at once, as with a
hierarchical namespace.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

DATA, ARTIFACTS = "azureml-blobstore-practice", "azureml"
STORES = {"workspaceblobstore": DATA, "workspaceartifactstore": ARTIFACTS}  # data store -> container


@dataclass(frozen=True)
class Facts:
    """What a blob has besides its bytes. Header values, as sent."""

    content_type: str = "application/octet-stream"
    content_md5: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


class BlobError(Exception):
    """``code``: the service's."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Blobs:
    def __init__(self, root: Path) -> None:
        self._files, self._facts, self._blocks = root / "blobs", root / "facts", root / "blocks"
        for container in STORES.values():
            (self._files / container).mkdir(parents=True, exist_ok=True)

    def has_container(self, container: str) -> bool:
        return "/" not in container and container not in ("", ".", "..") and (self._files / container).is_dir()

    def create_container(self, container: str) -> None:
        if self.has_container(container):
            raise BlobError(409, "ContainerAlreadyExists", "The specified container already exists.")
        self._below(self._files, container, "").mkdir()

    def path(self, container: str, name: str) -> Path:
        """Where a blob or a folder of blobs lies, whether or not it is there.

        Errors: BlobError for a container that does not exist and for a name that would leave it.
        """
        if not self.has_container(container):
            raise BlobError(404, "ContainerNotFound", "The specified container does not exist.")
        return self._below(self._files, container, name)

    @staticmethod
    def _below(root: Path, container: str, name: str) -> Path:
        if "\0" in name or ".." in name.split("/") or ".." in container or "/" in container:
            raise BlobError(400, "InvalidResourceName", "The specified resource name contains invalid characters.")
        return root / container / name.strip("/")

    def find(self, container: str, name: str) -> Path:
        path = self.path(container, name)
        if not path.is_file():
            raise BlobError(404, "BlobNotFound", "The specified blob does not exist.")
        return path

    def facts(self, container: str, name: str) -> Facts:
        path = self._facts_path(container, name)
        return Facts(**json.loads(path.read_text())) if path.exists() else Facts()

    def _facts_path(self, container: str, name: str) -> Path:
        return self._facts / f"{hashlib.sha256(f'{container}/{name}'.encode()).hexdigest()}.json"

    def describe(self, container: str, name: str, facts: Facts) -> None:
        self._facts.mkdir(exist_ok=True)
        _replace(self._facts_path(container, name), json.dumps(asdict(facts)).encode())

    def write(self, container: str, name: str, content: bytes, facts: Facts) -> None:
        path = self.path(container, name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, content)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise BlobError(409, "ResourceTypeMismatch", "A blob cannot also be a folder in the practice store.") from error
        self.describe(container, name, facts)

    def delete(self, container: str, name: str) -> None:
        self.find(container, name).unlink()
        self._facts_path(container, name).unlink(missing_ok=True)

    def stage(self, container: str, name: str, block: str, content: bytes) -> None:
        self.path(container, name)
        folder = self._staging(container, name)
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / _block_name(block), content)

    def commit(self, container: str, name: str, blocks: list[str], facts: Facts) -> None:
        """Make the blob from its staged blocks, in this order."""
        staged = [self._staging(container, name) / _block_name(block) for block in blocks]
        if not all(path.exists() for path in staged):
            raise BlobError(400, "InvalidBlockList", "The specified block list is invalid.")
        path = self.path(container, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{uuid.uuid4().hex}.part")
        with temporary.open("wb") as target:
            for each in staged:
                with each.open("rb") as source:
                    shutil.copyfileobj(source, target, 1 << 20)
        temporary.replace(path)
        shutil.rmtree(self._staging(container, name), ignore_errors=True)
        self.describe(container, name, facts)

    def _staging(self, container: str, name: str) -> Path:
        return self._blocks / hashlib.sha256(f"{container}/{name}".encode()).hexdigest()

    def list(self, container: str, prefix: str = "") -> Iterator[tuple[str, os.stat_result]]:
        """Names with their sizes and times, in the order of names."""
        root = self.path(container, "")
        start = self.path(container, prefix.rpartition("/")[0])
        found = (Path(folder) / file for folder, _, files in os.walk(start) for file in files if not file.endswith(".part"))
        for name in sorted(path.relative_to(root).as_posix() for path in found):
            if name.startswith(prefix):
                yield name, (root / name).stat()


def _block_name(block: str) -> str:
    return hashlib.sha256(block.encode()).hexdigest()


def _replace(path: Path, content: bytes) -> None:
    """Whole or not at all, for a reader at any moment."""
    temporary = path.with_name(f".{uuid.uuid4().hex}.part")
    temporary.write_bytes(content)
    temporary.replace(path)

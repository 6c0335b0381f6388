"""What SageMaker remembers: one JSON document per thing, in memory and on disk, so that it survives a restart.

A document is what Describe answers; keys that begin with ``_`` are ours and are not shown. Times are seconds since the epoch, as the
service's JSON has them.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

Document = dict[str, Any]


class Store:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.lock = threading.RLock()
        self._documents: dict[tuple[str, str], dict[str, Document]] = {}
        for path in sorted(folder.glob("*/*/*.json")):
            document = json.loads(path.read_bytes())
            self._of(path.parts[-3], path.parts[-2])[document["_name"]] = document

    def _of(self, region: str, kind: str) -> dict[str, Document]:
        return self._documents.setdefault((region, kind), {})

    def get(self, region: str, kind: str, name: str) -> Document | None:
        """The live document: change it only inside :meth:`changing`."""
        with self.lock:
            return self._of(region, kind).get(name)

    def put(self, region: str, kind: str, name: str, document: Document) -> Document:
        with self.lock:
            document |= {"_name": name, "_region": region}
            self._of(region, kind)[name] = document
            self._write(region, kind, name)
            return document

    @contextmanager
    def changing(self, region: str, kind: str, name: str) -> Iterator[Document]:
        """Change a document; it is written at the end."""
        with self.lock:
            document = self._of(region, kind)[name]
            yield document
            self._write(region, kind, name)

    def remove(self, region: str, kind: str, name: str) -> bool:
        with self.lock:
            found = self._of(region, kind).pop(name, None) is not None
            self._path(region, kind, name).unlink(missing_ok=True)
            shutil.rmtree(self.folder(region, kind, name), ignore_errors=True)
            return found

    def all(self, region: str, kind: str) -> list[Document]:
        with self.lock:
            return [dict(document) for document in self._of(region, kind).values()]

    def everywhere(self, kind: str) -> list[Document]:
        with self.lock:
            return [document for (_, each), documents in self._documents.items() if each == kind for document in documents.values()]

    def in_region(self, region: str) -> list[Document]:
        with self.lock:
            return [document for (where, _), documents in self._documents.items() if where == region for document in documents.values()]

    def folder(self, region: str, kind: str, name: str) -> Path:
        """Where a thing's files lie."""
        return self._folder / region / kind / quote(name, safe="")

    def _path(self, region: str, kind: str, name: str) -> Path:
        return self._folder / region / kind / f"{quote(name, safe='')}.json"

    def _write(self, region: str, kind: str, name: str) -> None:
        path = self._path(region, kind, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(self._of(region, kind)[name], indent=1))
        temporary.replace(path)


def shown(document: Document) -> Document:
    """A document as the service answers it."""
    return {key: value for key, value in document.items() if not key.startswith("_") and value is not None}

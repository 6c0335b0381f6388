"""What Resource Manager remembers: one JSON document for each address, in SQLite, so that it survives the service."""

from __future__ import annotations

import datetime
import json
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cloud.practice.azure.addresses import Address

Document = dict[str, Any]
_TABLE = "create table if not exists documents (key text primary key, parent text, number integer, body text)"
_NEXT = "select coalesce(max(number), 0) + 1 from documents"
_PUT = f"insert into documents values (?, ?, ({_NEXT}), ?) on conflict (key) do update set body = excluded.body"


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Documents:
    """Use from any thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = normal")
        self._database.execute(_TABLE)

    def get(self, at: Address) -> Document | None:
        with self._lock:
            row = self._database.execute("select body from documents where key = ?", (at.key,)).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, at: Address, properties: Document, **more: Any) -> Document:
        """Store a resource as Resource Manager shows it; what it was created with stays."""
        with self._lock:
            old = self.get(at)
            created = old["systemData"]["createdAt"] if old else now()
            who = {"createdBy": "practice", "createdByType": "User", "lastModifiedBy": "practice", "lastModifiedByType": "User"}
            system = {**who, "createdAt": created, "lastModifiedAt": now()}
            body = {"id": at.id, "name": at.name, "type": at.type, **more, "properties": properties, "systemData": system}
            self._database.execute(_PUT, (at.key, at.parent.key, json.dumps(body)))
        return body

    def change(self, at: Address, change: Callable[[Document], None]) -> Document | None:
        """Apply ``change`` to a stored document's properties; None if it is not there."""
        with self._lock:
            body = self.get(at)
            if body is None:
                return None
            change(body["properties"])
            body["systemData"]["lastModifiedAt"] = now()
            self._database.execute("update documents set body = ? where key = ?", (json.dumps(body), at.key))
        return body

    def delete(self, at: Address) -> bool:
        """With everything below it."""
        with self._lock:
            found = self._database.execute("delete from documents where key = ? or substr(key, 1, ?) = ?", (at.key, len(at.key) + 1, f"{at.key}/"))
        return found.rowcount > 0

    def list(self, collection: Address) -> list[Document]:
        """Newest first, as Azure lists jobs."""
        with self._lock:
            rows = self._database.execute("select body from documents where parent = ? order by number desc", (collection.key,)).fetchall()
        return [json.loads(row[0]) for row in rows]

    def close(self) -> None:
        with self._lock:
            self._database.close()

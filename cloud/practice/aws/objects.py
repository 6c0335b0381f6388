"""S3 as this process sees it: moto keeps the objects, their bytes lie on disk and are there again after a restart.

Of a versioned bucket only the newest version survives a restart.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import threading
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cloud.practice.settings import ACCOUNT

_KEPT = ("content-type", "content-encoding", "cache-control", "content-disposition", "content-language")


class DiskBuffer(io.RawIOBase):
    """Stands where moto keeps an object's bytes; holds no file open between two reads."""

    def __init__(self, path: Path) -> None:
        self._path, self._at = path, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence, self._path.stat().st_size if self._path.exists() else 0)
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read(-1 if size is None else size)
        self._at += len(data)
        return data


class Objects:
    """One per service. ``folder/<bucket>/<hash of the key>`` holds bytes, the same with ``.json`` what they are."""

    def __init__(self, folder: Path) -> None:
        from moto.s3.models import s3_backends

        self._backend = s3_backends[ACCOUNT]["aws"]
        self._folder = folder
        self._lock = threading.Lock()
        self._load()

    def _load(self) -> None:
        for bucket in sorted(path for path in self._folder.glob("*") if path.is_dir()):
            if not (bucket / "bucket").exists():  # a service that was killed while it made the bucket
                continue
            if bucket.name not in self._backend.buckets:
                self._backend.create_bucket(bucket.name, json.loads((bucket / "bucket").read_text())["region"])
            for note in bucket.glob("*.json"):
                facts = json.loads(note.read_bytes())
                data = note.with_suffix("")
                if data.exists():
                    key = self._backend.put_object(bucket.name, facts["key"], b"", etag=facts["etag"], disable_notification=True)
                    key.set_metadata(dict(facts["metadata"]))
                    key.last_modified = datetime.fromisoformat(facts["modified"])
                    key.contentsize = data.stat().st_size
                    _swap(key, data)

    def make_bucket(self, name: str, region: str) -> None:
        if name not in self._backend.buckets:
            self._backend.create_bucket(name, region)
        self.sync(name)

    def has_bucket(self, name: str) -> bool:
        return name in self._backend.buckets

    def sync(self, bucket: str, key: str | None = None) -> None:
        """Bring the disk up to what moto holds, for one key or for a whole bucket."""
        with self._lock:
            folder = self._folder / bucket
            if bucket not in self._backend.buckets:
                shutil.rmtree(folder, ignore_errors=True)
                return
            folder.mkdir(parents=True, exist_ok=True)
            held = self._backend.buckets[bucket]
            (folder / "bucket").write_text(json.dumps({"region": held.region_name}))
            names = [key] if key is not None else self._known(folder) | set(held.keys)
            for name in names:
                self._sync(folder, name, held.keys.get(name))

    @staticmethod
    def _known(folder: Path) -> set[str]:
        return {json.loads(note.read_bytes())["key"] for note in folder.glob("*.json")}

    @staticmethod
    def _sync(folder: Path, name: str, held: Any) -> None:
        data = folder / hashlib.sha256(name.encode()).hexdigest()
        note = data.with_name(data.name + ".json")
        if held is None or not hasattr(held, "_value_buffer"):  # gone, or a delete marker
            note.unlink(missing_ok=True)
            data.unlink(missing_ok=True)
            return
        if isinstance(held._value_buffer, DiskBuffer) and note.exists():
            return
        temporary = data.with_name(data.name + ".new")
        with temporary.open("wb") as file:
            held._value_buffer.seek(0)
            shutil.copyfileobj(held._value_buffer, file, 1 << 20)
        etag = held.etag.strip('"')
        temporary.replace(data)
        facts = {"key": name, "etag": etag, "metadata": dict(held.metadata), "modified": held.last_modified.isoformat()}
        note.write_text(json.dumps(facts))
        _swap(held, data)

    def list(self, bucket: str, prefix: str) -> list[str]:
        """Keys that begin with a prefix, sorted. Folder markers (empty objects whose name ends in ``/``) are left out."""
        if not self.has_bucket(bucket):
            return []
        keys = self._backend.buckets[bucket].keys
        return sorted(name for name in list(keys) if name.startswith(prefix) and not name.endswith("/") and hasattr(keys.get(name), "_value_buffer"))

    def read(self, bucket: str, key: str) -> bytes | None:
        held = self._backend.buckets[bucket].keys.get(key) if self.has_bucket(bucket) else None
        return held.value if held is not None and hasattr(held, "_value_buffer") else None

    def fetch(self, bucket: str, key: str, path: Path) -> None:
        """Copy an object to a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        data = self._folder / bucket / hashlib.sha256(key.encode()).hexdigest()
        if not data.exists():
            self.sync(bucket, key)
        shutil.copyfile(data, path)

    def write(self, bucket: str, key: str, value: bytes) -> None:
        self._backend.put_object(bucket, key, value, disable_notification=True)
        self.sync(bucket, key)

    def send(self, path: Path, bucket: str, key: str) -> None:
        """Copy a file to an object."""
        self.write(bucket, key, path.read_bytes())


def _swap(held: Any, data: Path) -> None:
    """Let moto read an object from disk, and close what it had."""
    with held.lock:
        before, held._value_buffer = held._value_buffer, DiskBuffer(data)
        before.close()


def split(uri: str) -> tuple[str, str]:
    """(bucket, key) of ``s3://bucket/key``."""
    parts = urlsplit(uri)
    return parts.netloc, parts.path.lstrip("/")


def joined(uri: str, *parts: str) -> str:
    return "/".join([uri.rstrip("/"), *parts])

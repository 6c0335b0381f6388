"""Fingerprints: SHA-256 of canonical JSON. Engine, versions, host and clock are recorded beside one, never inside."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jobs.contracts import storage

# Never part of a job's code: caches, environments, and what Seatrial itself writes.
SKIPPED_FOLDERS = frozenset({".git", ".venv", ".seatrial", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", "node_modules"})
SKIPPED_SUFFIXES = (".pyc", ".pyo", ".swp", "~")


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces; NaN is refused because JSON has none."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def of(value: Any) -> str:
    """Fingerprint of any JSON value."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def of_location(uri: str) -> str:
    """Fingerprint of a file or folder by content: names and SHA-256 of every file in it.

    Python files are left out of a ``pkg:`` folder: the tables are the input, not the code that ships them.
    """
    if storage.stat(uri).is_file:
        return storage.sha256(uri)
    return of({name: storage.sha256(storage.join(uri, name)) for name in content_files(uri)})


def content_files(uri: str) -> list[str]:
    """Files below a folder that count as its content, by path; Python files of a ``pkg:`` folder do not."""
    names = storage.list_files(uri)
    return [name for name in names if not name.endswith((".py", ".pyc"))] if uri.startswith(storage.PACKAGE_SCHEME) else names


def code_files(folder: Path) -> list[Path]:
    """Files that count as a job's code, sorted by relative path."""
    return sorted(_walk(folder), key=lambda path: path.relative_to(folder).as_posix())


def _walk(folder: Path) -> Iterable[Path]:
    for entry in folder.iterdir():
        if entry.is_dir():
            if entry.name not in SKIPPED_FOLDERS and not entry.name.endswith(".egg-info"):
                yield from _walk(entry)
        elif not entry.name.endswith(SKIPPED_SUFFIXES):
            yield entry


def of_code(folder: Path) -> str:
    """Fingerprint of the Python files below a job's ``code`` folder (a job file's own text is hashed as parameters)."""
    files = [path for path in code_files(folder) if path.suffix == ".py"]
    return of({path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files})


def of_step(*, kind: str, entry: str, code: str, params: Mapping[str, Any], inputs: Mapping[str, str], contract: int) -> str:
    """Fingerprint of what a step will produce: equal arguments mean an equal product, so it can be reused.

    ``inputs`` maps each input's name to the fingerprint of its content.
    """
    return of({"kind": kind, "entry": entry, "code": code, "params": dict(params), "inputs": dict(inputs), "contract": contract})

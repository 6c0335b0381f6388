"""Named bearer keys, from a file or a folder, read again every two seconds: a key is added, replaced or taken away without a restart.

A file has a line ``name:key`` for each; lines that begin with # are left out, and one name may have several keys while clients change over.
In a folder every file is a key and the file's name is the key's: that is how Kubernetes mounts a Secret. A key has 16 to 512 characters
without spaces. Only hashes stay in memory, and every presented key is compared with all of them, in a time that tells nothing.

Where reading fails later, or finds something malformed, the former keys stay and the log says so. A file or folder that is there and
holds no key lets nobody in.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from hmac import compare_digest
from pathlib import Path

from jobs.contracts.errors import SetupError

log = logging.getLogger(__name__)

SECONDS = 2.0  # between two looks; a Secret takes the kubelet up to a minute anyway
_KEY = re.compile(r"[!-~]{16,512}")
_NAME = re.compile(r"[\w.@-]{1,64}", re.ASCII)
_HINT = 'for a new one: python -c "import secrets; print(secrets.token_urlsafe(32))"'

Known = tuple[tuple[str, bytes], ...]  # name and SHA-256


class Keys:
    """Errors: SetupError when the first reading fails: a service that was to be protected must not start open, nor closed by mistake."""

    def __init__(self, place: str) -> None:
        self._place, self._known, self._problem = Path(place), read(Path(place)), ""
        self._stop = threading.Event()

    def owner(self, presented: bytes) -> str:
        """The name of a key; empty for one that is none."""
        digest, found = hashlib.sha256(presented).digest(), ""
        for name, known in self._known:
            if compare_digest(digest, known):
                found = name
        return found

    def start(self) -> None:
        threading.Thread(target=self._follow, daemon=True, name="keys").start()

    def stop(self) -> None:
        self._stop.set()

    def refresh(self) -> None:
        """Never raises."""
        try:
            known, problem = read(self._place), ""
        except SetupError as error:
            known, problem = self._known, str(error)
        if problem and problem != self._problem:
            log.warning("the former keys stay: %s", problem)
        elif known != self._known:
            log.info("keys are now those of: %s", ", ".join(sorted({name for name, _ in known})) or "nobody")
        self._known, self._problem = known, problem

    def _follow(self) -> None:
        while not self._stop.wait(SECONDS):
            self.refresh()


def read(place: Path) -> Known:
    """Errors: SetupError that names the file and line and never shows a key."""
    try:
        if place.is_dir():
            # Kubernetes' own files begin with two dots, an editor's with one.
            files = sorted(file for file in place.iterdir() if not file.name.startswith(".") and file.is_file())
            return tuple(_entry(file.name, file.read_text(), str(file)) for file in files)
        lines = [(number, line.strip()) for number, line in enumerate(place.read_text().splitlines(), 1)]
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"the keys cannot be read: {error}", where=str(place), hint="a text file of name:key lines, or a folder of keys") from error
    found = []
    for number, line in lines:
        if line and not line.startswith("#"):
            name, _, key = line.partition(":")
            found.append(_entry(name, key, f"{place}, line {number}"))
    return tuple(found)


def _entry(name: str, key: str, where: str) -> tuple[str, bytes]:
    name, key = name.strip(), key.strip()
    if not _NAME.fullmatch(name):
        raise SetupError("a key's name has 1 to 64 letters, digits and . _ @ -", where=where, hint="write name:key")
    if not _KEY.fullmatch(key):
        raise SetupError(f"the key of {name} must have 16 to 512 printable characters and no spaces", where=where, hint=_HINT)
    return name, hashlib.sha256(key.encode()).digest()

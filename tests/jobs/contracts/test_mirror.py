"""A step's folder in an object store: what appears, what goes, in which order, and what happens when the store is away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.contracts import mirror as mirrors
from jobs.contracts import storage
from jobs.contracts.errors import InputError, StorageError
from jobs.contracts.mirror import Mirror, scratch
from tests import object_store

NAMES = ("metrics.jsonl", "checkpoints")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with object_store.bucket() as uri:
        yield uri


@pytest.fixture
def store(bucket: str, request: pytest.FixtureRequest) -> str:
    """A folder of the bucket that belongs to one test."""
    return f"{bucket}/{request.node.name}"


def write(folder: Path, **files: str) -> None:
    """``metrics="…"`` or ``one="…"``, the latter below checkpoints/."""
    for name, text in files.items():
        path = folder / "metrics.jsonl" if name == "metrics" else folder / "checkpoints" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_new_machine_begins_with_what_the_last_one_left(store: str) -> None:
    with scratch(store, NAMES) as first:
        write(first.folder, metrics="1\n", one="a", two="b")
    assert not first.folder.exists()
    with scratch(store, NAMES) as second:
        assert (second.folder / "metrics.jsonl").read_text() == "1\n"
        assert sorted(path.name for path in (second.folder / "checkpoints").iterdir()) == ["one", "two"]


def test_nothing_but_the_named_files_is_kept(store: str) -> None:
    with scratch(store, NAMES) as mirror:
        write(mirror.folder, metrics="1\n", one="a")
        (mirror.folder / "notes.txt").write_text("x")
        (mirror.folder / "checkpoints" / ".two.half").write_text("x")
    assert object_store.names(store) == ["checkpoints/one", "metrics.jsonl"]


def test_the_store_follows_while_the_step_works(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "EVERY", 0.05)
    with scratch(store, NAMES) as mirror:
        write(mirror.folder, metrics="1\n")
        wait_for(store, "metrics.jsonl", b"1\n")
        write(mirror.folder, metrics="1\n2\n")
        wait_for(store, "metrics.jsonl", b"1\n2\n")


def wait_for(store: str, name: str, content: bytes) -> None:
    deadline = time.monotonic() + 20
    where = storage.join(store, name)
    while not storage.exists(where) or storage.read_bytes(where) != content:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_unchanged_file_is_not_sent_again(store: str, tmp_path: Path) -> None:
    write(tmp_path, metrics="1\n")
    mirror = Mirror(tmp_path, store, NAMES)
    mirror.push()
    storage.write_bytes(storage.join(store, "metrics.jsonl"), b"another writer's")
    mirror.push()
    assert storage.read_bytes(storage.join(store, "metrics.jsonl")) == b"another writer's"


def test_pruned_files_go_but_only_those_this_mirror_had(store: str, tmp_path: Path) -> None:
    mirror = Mirror(tmp_path, store, NAMES)
    write(tmp_path, one="a", two="b")
    mirror.push()
    storage.write_bytes(storage.join(store, "checkpoints", "three"), b"a successor's")
    (tmp_path / "checkpoints" / "one").unlink()
    mirror.push()
    assert object_store.names(store) == ["checkpoints/three", "checkpoints/two"]


def test_what_was_fetched_and_pruned_here_goes_there_too(store: str) -> None:
    storage.write_bytes(storage.join(store, "checkpoints", "old"), b"a")
    with scratch(store, NAMES) as mirror:
        (mirror.folder / "checkpoints" / "old").unlink()
        write(mirror.folder, new="b")
    assert object_store.names(store) == ["checkpoints/new"]


def test_metrics_are_there_before_the_checkpoints_they_lead_to(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    copy = storage.copy
    monkeypatch.setattr(storage, "copy", lambda source, target: (sent.append(target), copy(source, target)))
    write(tmp_path, metrics="1\n", a="x")
    Mirror(tmp_path, store, NAMES).push()
    assert [name.removeprefix(f"{store}/") for name in sent] == ["metrics.jsonl", "checkpoints/a"]


def test_a_checkpoint_that_appears_while_metrics_are_sent_waits_for_its_own(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = storage.copy

    def copy_then_work_on(source: str, target: str) -> None:
        copy(source, target)
        if source.endswith("metrics.jsonl"):
            write(tmp_path, metrics="1\n2\n", two="y")

    monkeypatch.setattr(storage, "copy", copy_then_work_on)
    write(tmp_path, metrics="1\n", one="x")
    Mirror(tmp_path, store, NAMES).push()
    assert object_store.names(store) == ["checkpoints/one", "metrics.jsonl"]


def test_a_file_pruned_while_it_is_sent_is_passed_over(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = storage.copy

    def prune_then_copy(source: str, target: str) -> None:
        if source.endswith("one"):
            Path(source).unlink()
        copy(source, target)

    monkeypatch.setattr(storage, "copy", prune_then_copy)
    write(tmp_path, one="a", two="b")
    Mirror(tmp_path, store, NAMES).push()
    assert object_store.names(store) == ["checkpoints/two"]


def test_a_reader_changes_nothing_in_the_store(store: str) -> None:
    storage.write_bytes(storage.join(store, "checkpoints", "one"), b"a")
    with scratch(store, NAMES, writes=False) as mirror:
        (mirror.folder / "checkpoints" / "one").unlink()
        write(mirror.folder, metrics="1\n")
    assert object_store.names(store) == ["checkpoints/one"]


@pytest.mark.parametrize("error", [InputError, KeyboardInterrupt])
def test_the_work_of_a_step_that_fails_or_is_stopped_is_kept_and_its_error_goes_on(bucket: str, error: type[BaseException]) -> None:
    store = f"{bucket}/ended-by-{error.__name__}"
    with pytest.raises(error, match="wrong"):
        work_and_fail(store, error)
    assert object_store.names(store) == ["checkpoints/one"]


def test_a_store_that_is_away_stops_the_end_but_hides_no_other_error(bucket: str) -> None:
    nowhere = f"{bucket}-that-does-not-exist/step"
    with pytest.raises(StorageError, match="bucket"), scratch(nowhere, NAMES) as mirror:
        write(mirror.folder, metrics="1\n")
    with pytest.raises(InputError, match="wrong"):
        work_and_fail(nowhere, InputError)


def work_and_fail(store: str, error: type[BaseException]) -> None:
    with scratch(store, NAMES) as mirror:
        write(mirror.folder, one="a")
        raise error("wrong")

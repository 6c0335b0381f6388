"""Following the alias: swaps, and everything that must not take a working model away."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.contracts import bundle as bundles
from jobs.contracts import storage
from jobs.control.registry_reader import ModelVersion
from serve.rollout import loading
from tests.serve.conftest import Alias, Published, following


def test_the_alias_moves_and_the_version_follows(published: Published) -> None:
    others, alias = set(threading.enumerate()), Alias(published.version(1))
    slot = following("parcels", alias, poll_seconds=0.01)
    slot.start()
    wait(lambda: slot.live is not None and slot.live.version == "1")
    alias.target = published.version(2)
    wait(lambda: slot.live is not None and slot.live.version == "2")
    slot.stop()
    assert not any(thread.name == "model-slot" for thread in set(threading.enumerate()) - others)


def test_an_unchanged_alias_loads_once(published: Published) -> None:
    slot = following("parcels", Alias(published.version(1)))
    slot.refresh()
    first = slot.live
    slot.refresh()
    assert slot.live is first is not None


@pytest.mark.parametrize("file", [bundles.MODEL, bundles.VOCABULARY, bundles.EXAMPLE, bundles.BUNDLE])
def test_a_tampered_bundle_never_goes_live(published: Published, tmp_path: Path, file: str) -> None:
    folder = Path(shutil.copytree(published.uri(2), tmp_path / "copy"))
    (folder / file).write_bytes((folder / file).read_bytes() + b" ")
    if file == bundles.BUNDLE:  # whitespace there changes nothing; another threshold does
        (folder / file).write_text(bundles.load(published.uri(2)).model_copy(update={"threshold": 0.999}).model_dump_json())
    alias = Alias(published.version(1))
    slot = following("parcels", alias)
    slot.refresh()
    alias.target = replace(published.version(2), uri=str(folder))
    slot.refresh()
    assert slot.live is not None
    assert (slot.live.version, slot.problem.startswith("version 2 does not load: ")) == ("1", True)


def test_a_bundle_that_is_missing_at_first_is_tried_again(published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slot = following("parcels", Alias(replace(published.version(2), uri=str(tmp_path / "late"))))
    slot.refresh()
    assert slot.live is None
    assert "no bundle" in slot.problem
    shutil.copytree(published.uri(2), tmp_path / "late")
    slot.refresh()
    assert slot.live is None  # not at every poll
    monkeypatch.setattr(loading, "RETRY_SECONDS", 0)
    slot.refresh()
    assert (slot.live is not None, slot.problem) == (True, "")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (bundles.VOCABULARY, '{"color": ["black", "blue", "green", "red", "white", "yellow"]}'),  # index 6 is beyond the model's table
        (bundles.EXAMPLE, '{"color": "red", "size": 1}'),
        (bundles.EXAMPLE, '{"color": "red", "size": 1, "weight": "heavy"}'),
    ],
)
def test_a_bundle_that_does_not_fit_together_never_goes_live(published: Published, tmp_path: Path, file: str, content: str) -> None:
    folder = Path(shutil.copytree(published.uri(2), tmp_path / "copy"))
    (folder / file).write_text(content)
    made = bundles.load(published.uri(2))
    changed = made.model_copy(update={"files": made.files | {file: storage.sha256(str(folder / file))}})
    bundles.publish(folder, changed)
    slot = following("parcels", Alias(ModelVersion("parcels", "2", str(folder), changed.fingerprint)))
    slot.refresh()
    assert slot.live is None
    assert "cannot score rows of its own schema" in slot.problem


def test_a_registry_that_is_away_or_empty_leaves_the_model(published: Published) -> None:
    alias = Alias(published.version(1))
    slot = following("parcels", alias)
    slot.refresh()
    for target in (OSError("no route"), None):
        alias.target = target
        slot.refresh()
        assert slot.live is not None
        assert slot.problem == ("cannot read the registry: no route" if target else "")


def wait(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs.contracts import dataset
from jobs.contracts.errors import InputError, IntegrityError
from tests.factories import make_dataset


@pytest.fixture
def published(tmp_path: Path) -> Path:
    make_dataset(tmp_path / "d", rows=500)
    return tmp_path / "d"


def test_a_published_dataset_verifies_and_reads_in_order(published: Path) -> None:
    uri = str(published)
    manifest = dataset.verify(uri)
    table = dataset.read_part(uri, manifest, "train")
    keys = table["row_id"].to_pylist()
    assert keys == sorted(keys)
    assert table.num_rows == manifest.split.rows["train"]


def test_a_folder_without_manifest_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no manifest\.json"):
        dataset.load_manifest(str(tmp_path))


def test_a_changed_file_is_named(published: Path) -> None:
    manifest = dataset.load_manifest(str(published))
    path = published / manifest.files[0].path
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(IntegrityError, match=manifest.files[0].path):
        dataset.verify(str(published))
    path.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        dataset.verify(str(published))


@pytest.mark.parametrize("change", [{"files": 3}, {"surprise": 1}, {"split": {"method": "time"}}])
def test_a_tampered_manifest_does_not_validate(published: Path, change: dict[str, object]) -> None:
    path = published / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(IntegrityError, match="does not validate"):
        dataset.load_manifest(str(path.parent))


def test_another_contract_is_refused(published: Path) -> None:
    path = published / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"contract": 99}))
    with pytest.raises(InputError, match="contract 99"):
        dataset.load_manifest(str(path.parent))


def test_an_unknown_part_lists_the_known_ones(published: Path) -> None:
    uri = str(published)
    with pytest.raises(InputError, match="train"):
        dataset.open_part(uri, dataset.load_manifest(uri), "holdout")

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs.contracts import bundle as bundles
from jobs.contracts import fingerprint
from jobs.contracts.errors import InputError, IntegrityError
from tests.factories import make_bundle, make_dataset


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    make_dataset(tmp_path / "d", rows=500)
    make_bundle(tmp_path / "b", tmp_path / "d")
    return tmp_path / "b"


def test_a_bundle_loads_and_its_fingerprint_ignores_when_and_where(bundle: Path) -> None:
    loaded = bundles.load(str(bundle))
    assert loaded.fingerprint == loaded.model_copy(update={"run": "another", "recorded": {"host": "elsewhere"}}).fingerprint
    assert loaded.fingerprint != loaded.model_copy(update={"threshold": 0.123}).fingerprint


@pytest.mark.parametrize("name", ["model.onnx", "vocab.json", "example.json"])
def test_a_tampered_file_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).write_bytes((bundle / name).read_bytes() + b" ")
    with pytest.raises(IntegrityError, match=name):
        bundles.load(str(bundle))


def test_a_tampered_schema_is_refused(bundle: Path) -> None:
    values = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps(values | {"inputs": "none"}))
    with pytest.raises(IntegrityError, match="does not validate"):
        bundles.load(str(bundle))


def test_a_folder_without_bundle_json_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no bundle\.json"):
        bundles.load(str(tmp_path))


def test_a_bundle_from_before_a_field_loads_with_its_old_fingerprint(bundle: Path) -> None:
    said = json.loads((bundle / "bundle.json").read_text())
    assert not {"classes", "temperature", "costs", "intervals"} & set(said)
    loaded = bundles.load(str(bundle))
    assert (loaded.temperature, loaded.costs, loaded.intervals) == (1.0, None, None)
    first = {key: value for key, value in said.items() if key not in ("recorded", "run")}
    assert loaded.fingerprint == fingerprint.of(first)
    assert loaded.fingerprint != loaded.model_copy(update={"temperature": 1.5}).fingerprint

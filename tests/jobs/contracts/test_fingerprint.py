from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.contracts import fingerprint

_values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda each: st.lists(each) | st.dictionaries(st.text(), each), max_leaves=10)


@given(st.dictionaries(st.text(), _values))
def test_the_order_of_keys_does_not_count(value: dict[str, object]) -> None:
    assert fingerprint.of(value) == fingerprint.of(dict(reversed(value.items())))


@given(_values, _values)
def test_different_values_have_different_fingerprints(one: object, two: object) -> None:
    assert (fingerprint.of(one) == fingerprint.of(two)) == (fingerprint.canonical_json(one) == fingerprint.canonical_json(two))


def test_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        fingerprint.of(float("nan"))


def test_code_is_its_python_files(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1")
    before = fingerprint.of_code(tmp_path)
    (tmp_path / "README.md").write_text("words")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.cpython-311.pyc").write_text("bytes")
    assert fingerprint.of_code(tmp_path) == before
    (tmp_path / "a.py").write_text("x = 2")
    assert fingerprint.of_code(tmp_path) != before


def test_a_location_is_its_names_and_content(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1")
    before = fingerprint.of_location(str(tmp_path))
    (tmp_path / "a.csv").rename(tmp_path / "b.csv")
    assert fingerprint.of_location(str(tmp_path)) != before


def test_every_argument_of_a_step_counts() -> None:
    base = {"kind": "train", "entry": "a:b", "code": "c", "params": {"seed": 1}, "inputs": {"data": "f"}, "contract": 1}
    changes = [{"kind": "etl"}, {"entry": "a:c"}, {"code": "d"}, {"params": {"seed": 2}}, {"inputs": {"data": "g"}}, {"contract": 2}]
    assert len({fingerprint.of_step(**(base | change)) for change in [{}, *changes]}) == len(changes) + 1  # type: ignore[arg-type]

"""The published JSON Schema and reference page: current, tidy, and as strict as the models where an editor can be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError

from jobs.control import spec
from jobs.control.backend import BACKENDS, DRIVER, MODULES
from jobs.control.schema import LABEL, MEMORY, TIME, job_file_schema
from jobs.control.schema_page import reference

SCHEMA = job_file_schema()
MINIMAL: dict[str, Any] = {"apiVersion": "seatrial/v1", "name": "flights", "steps": {"judge": {"kind": "evaluate"}}}


def mistakes(values: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(values)]


def test_the_published_schema_is_current(repository: Path) -> None:
    published = json.loads((repository / "docs/job-file.schema.json").read_text())
    assert published == SCHEMA, "accept a change with: seatrial schema > docs/job-file.schema.json"


def test_the_reference_page_is_current(repository: Path) -> None:
    page = (repository / "docs/job-file.md").read_text()
    _, mark, rest = page.partition("a test keeps it current. -->\n\n")
    assert mark
    assert rest == reference() + "\n", "accept a change by replacing what follows the comment with: seatrial schema --output markdown"


def test_the_schema_is_valid_json_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", ["examples/flights/pipeline.yaml", "tests/workloads/tiny/pipeline.yaml"])
def test_job_files_of_this_repository_follow_it(repository: Path, file: str) -> None:
    assert not mistakes(yaml.safe_load((repository / file).read_text()))


@pytest.mark.parametrize("change", [{"name": "My Flights"}, {"step": {}}, {"apiVersion": "seatrial/v9"}, {"steps": {}}, {"targets": {"moon": {}}}])
def test_mistakes_in_the_file_are_marked(change: dict[str, Any]) -> None:
    assert not mistakes(MINIMAL)
    assert mistakes({**MINIMAL, **change})


@pytest.mark.parametrize(
    "step",
    [
        {"kind": "elt"},
        {"kind": "pipeline"},
        {"kind": "evaluate", "retrys": 2},
        {"kind": "evaluate", "entry": "flights"},
        {"kind": "evaluate", "time_limit": "soon"},
        {"kind": "evaluate", "resources": {"memory": "lots"}},
        {"kind": "evaluate", "resources": {"workers": {"min": 1}}},
        {"kind": "evaluate", "outputs": {"report": "page"}},
    ],
)
def test_mistakes_in_a_step_are_marked(step: dict[str, Any]) -> None:
    assert mistakes({**MINIMAL, "steps": {"judge": step}})


def test_a_step_with_a_name_that_no_target_takes_is_marked() -> None:
    assert mistakes({**MINIMAL, "steps": {"Judge_it": {"kind": "evaluate"}}})


def test_numbers_are_taken_where_the_file_may_hold_them() -> None:
    step = {"kind": "evaluate", "time_limit": 90, "resources": {"memory": 1_000_000_000, "workers": {"min": 1, "max": 2}}}
    assert spec.Pipeline.model_validate({**MINIMAL, "steps": {"judge": step}})
    assert not mistakes({**MINIMAL, "steps": {"judge": step}})


def test_kinds_and_targets_are_enumerated() -> None:
    assert SCHEMA["$defs"]["Step"]["properties"]["kind"]["enum"] == [kind for kind in MODULES if kind != DRIVER]
    assert list(SCHEMA["$defs"]["Targets"]["properties"]) == list(BACKENDS)


def test_keys_are_explained_and_nothing_hides_the_explanation() -> None:
    fields = [field for model in [SCHEMA, *SCHEMA["$defs"].values()] for field in model.get("properties", {}).values()]
    assert all(field.get("description") or "$ref" in field for field in fields)
    assert not [node for node in _nodes(SCHEMA["properties"]) + _nodes(SCHEMA["$defs"]) if "title" in node]
    assert "``" not in json.dumps(SCHEMA)


def _nodes(value: Any) -> list[dict[str, Any]]:
    return list(_walk(value))


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _walk(inner)


RULES = {LABEL: spec.Name, TIME: spec.Duration, MEMORY: spec.Memory}
WRITTEN = st.from_regex(r"[-a-z0-9]{0,32}", fullmatch=True) | st.from_regex(r" ?[0-9]{1,3}(\.[0-9])?(Ki|Mi|Gi|Ti|k|M|G|T|s|m|h|d|x)?", fullmatch=True)


@pytest.mark.parametrize("pattern", RULES, ids=["label", "time", "memory"])
@given(text=WRITTEN)
def test_patterns_say_what_the_rules_of_the_models_do(pattern: str, text: str) -> None:
    try:
        TypeAdapter(RULES[pattern]).validate_python(text)
        accepted = True
    except ValidationError:
        accepted = False
    assert Draft202012Validator({"pattern": pattern}).is_valid(text) == accepted


def test_the_page_has_every_key_of_every_model() -> None:
    page = reference()
    for model in SCHEMA["$defs"].values():
        for key in model.get("properties", {}):
            assert f"| `{key}` |" in page
    assert "### `targets.kubernetes.images`" in page

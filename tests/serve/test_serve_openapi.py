"""schemathesis against the OpenAPI document: what it describes is what is answered, and nothing that it invents gives a 5xx."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.openapi import from_asgi
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from jobs.control.registry_reader import ModelVersion
from serve.asgi import Application
from tests.serve.conftest import Alias, Published, following

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SECONDS = 5.0  # nothing that a client sends may hang


@pytest.fixture(scope="module")
def schema(published: Published) -> Any:
    """Of two models side by side, one of which has a name that is no identifier."""
    second = published.version(2)
    slots = [following("parcels", Alias(published.version(1))), following("odd name", Alias(ModelVersion("odd name", "2", second.uri, second.fingerprint)))]
    for slot in slots:
        slot.refresh()
    return from_asgi("/openapi.json", Application(*slots))


@pytest.fixture(scope="module")
def operations(schema: Any) -> list[Any]:
    return [result.ok() for result in schema.get_all_operations()]


def test_every_operation_is_described(operations: list[Any]) -> None:
    paths = {(operation.method.upper(), operation.path) for operation in operations}
    expected = {("POST", "/predict"), ("POST", "/explain"), ("POST", "/models/odd%20name/predict"), ("POST", "/v2/models/parcels/versions/{version}/infer")}
    assert expected <= paths
    assert len(paths) == 7 + 2 * 9


def attack(operations: list[Any], examples: int) -> int:
    """Valid requests of every operation, and invalid ones of those with a body; how many were sent."""
    sent = 0
    quick = settings(max_examples=examples, deadline=None, database=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck))

    def one(case: Any) -> None:
        nonlocal sent
        started = time.monotonic()
        response = case.call()
        assert time.monotonic() - started < SECONDS, f"{case.method} {case.path} hung"
        case.validate_response(response, checks=CHECKS)
        sent += 1

    for operation in operations:
        for mode in GenerationMode if operation.method == "post" else (GenerationMode.POSITIVE,):
            quick(given(operation.as_strategy(generation_mode=mode))(one))()
    return sent


def test_nothing_that_it_invents_gives_a_server_error(operations: list[Any]) -> None:
    assert attack(operations, 12) > 200


@pytest.mark.full
def test_nothing_of_much_that_it_invents_gives_a_server_error(operations: list[Any]) -> None:
    assert attack(operations, 300) > 5_000

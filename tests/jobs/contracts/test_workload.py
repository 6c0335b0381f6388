from __future__ import annotations

import pytest

from jobs.contracts.errors import RequestError
from jobs.contracts.workload import load_entry


def test_an_entry_is_a_function_of_a_module() -> None:
    assert load_entry("json:dumps")({}) == "{}"


@pytest.mark.parametrize(("entry", "named"), [("no_such_module:build", "no_such_module"), ("json:no_such_function", "no_such_function")])
def test_a_wrong_entry_says_which_half_is_wrong(entry: str, named: str) -> None:
    with pytest.raises(RequestError, match=named):
        load_entry(entry)

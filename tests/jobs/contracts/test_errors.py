from __future__ import annotations

import errno
import pickle

import pytest

from jobs.contracts import errors
from jobs.contracts.errors import InputError, RunError, SeatrialError, StorageError


def test_an_error_says_what_where_and_what_next() -> None:
    text = str(InputError("the column 'day' is missing", where="flights.csv", hint="rename it back"))
    assert text == "flights.csv: the column 'day' is missing\n  next: rename it back"


def test_errors_survive_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(StorageError("full", where="/data", hint="free space")))
    assert (type(error), error.what, error.where, error.hint) == (StorageError, "full", "/data", "free space")


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, StorageError), (errno.EACCES, StorageError), (errno.ENOENT, InputError)])
def test_operating_system_errors_are_translated(number: int, kind: type[SeatrialError]) -> None:
    assert type(errors.from_os_error(OSError(number, "text"), "here")) is kind


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    def names(kind: type[SeatrialError]) -> set[str]:
        return {kind.__name__}.union(*(names(child) for child in kind.__subclasses__() if child.__module__ == errors.__name__))

    missing = [name for name in names(SeatrialError) if name not in (errors.__doc__ or "")]
    assert not missing
    assert (InputError("").exit_code, RunError("").exit_code) == (2, 1)

"""What an engine raises, as one sentence: the place where errors of Spark and Sail are translated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.errors import PySparkException

from jobs.contracts.errors import InputError, SeatrialError, StepFailed, StorageError

_FULL = re.compile(r"No space left on device|os error 28\b|StorageFull|Disk quota exceeded|os error 122\b", re.IGNORECASE)
_TOO_LARGE = re.compile(r"File too large|os error 27\b", re.IGNORECASE)
_MALFORMED = re.compile(
    r"MALFORMED_RECORD_IN_PARSING|Malformed records|incorrect number of fields|unequal lengths|expected \d+ (?:fields )?(?:but )?got \d+", re.IGNORECASE
)


@contextmanager
def translated(doing: str, where: str) -> Iterator[None]:
    """Translate engine errors raised inside the block; ``doing`` names the work, ``where`` its place."""
    try:
        yield
    except SeatrialError:
        raise
    except Exception as error:  # py4j, gRPC and PySpark have no common class for what the engine reports
        translation = _translate(error, doing, where)
        if translation is None:
            raise
        raise translation from error


def _translate(error: Exception, doing: str, where: str) -> SeatrialError | None:
    text = _text(error)
    if _FULL.search(text):
        return StorageError("the disk is full", where=where, hint="free some space and run the same command again; finished work is kept")
    if _TOO_LARGE.search(text):
        return StorageError("a file would become larger than this process may write", where=where, hint="raise the limit (ulimit -f) and run again")
    if _MALFORMED.search(text):
        return InputError("a row has another number of fields than the header", where=where, hint="get the file again: it looks cut short or broken")
    if isinstance(error, PySparkException) or type(error).__module__.startswith(("py4j", "grpc")):
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        return StepFailed(f"{doing} failed: {first.strip()[:300]}", where=where, hint="the engine's whole message is in the step's log")
    return None


def _text(error: BaseException | None) -> str:
    """The messages of an error and of all its causes."""
    parts = []
    while error is not None:
        parts.append(f"{type(error).__name__}: {error}")
        error = error.__cause__ or error.__context__
    return "\n".join(parts)

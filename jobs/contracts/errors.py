"""The errors that Seatrial raises on purpose, each with what happened, where, and what to do next.

    SeatrialError
    ├── RequestError          exit code 2: what was asked for cannot be done
    │   ├── SpecError         a job file that does not validate
    │   ├── InputError        a table, dataset or URI that is missing or has the wrong shape
    │   └── SetupError        this machine lacks an extra, Java, a free port or a tool
    └── RunError              exit code 1: the request was right and the work failed
        ├── StepFailed        a step ended with an error of its own
        ├── IntegrityError    bytes that do not match their recorded hash
        └── StorageError      a store that is full, unreadable or read-only

Library errors are translated into these once, at the edge, with the cause kept (``raise ... from``).
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

EXIT_DONE, EXIT_FAILED, EXIT_REQUEST, EXIT_INTERRUPTED = 0, 1, 2, 130


class SeatrialError(Exception):
    """A sentence for the user: ``what`` happened, ``where``, and what to do next (``hint``)."""

    exit_code = EXIT_FAILED

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.hint = what, where, hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  next: {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments are lost by Exception's own pickling, and Ray ships errors between processes.
        return (_rebuild, (type(self), self.what, self.where, self.hint))


def _rebuild(kind: type[SeatrialError], what: str, where: str, hint: str) -> SeatrialError:
    return kind(what, where=where, hint=hint)


class RequestError(SeatrialError):
    exit_code = EXIT_REQUEST


class SpecError(RequestError):
    pass


class InputError(RequestError):
    pass


class SetupError(RequestError):
    """Something that this machine lacks: an extra, Java, a free port, a tool."""


class RunError(SeatrialError):
    pass


class StepFailed(RunError):
    pass


class IntegrityError(RunError):
    pass


class StorageError(RunError):
    pass


def missing_extra(module: str, extra: str) -> SetupError:
    """The error for an engine that is not installed: names the command that installs it."""
    return SetupError(f"{module} is not installed", hint=f'pip install "seatrial[{extra}]"')


def complaint(error: ValidationError) -> tuple[str, str]:
    """(what, where): the first thing that pydantic minds, in plain words, and its place with dots; the place of a whole object is empty."""
    first = error.errors()[0]
    return first["msg"].removeprefix("Value error, "), ".".join(map(str, first["loc"]))


def disk_full(where: str) -> StorageError:
    return StorageError("the disk is full", where=where, hint="free some space and run the same command again; finished work is kept")


def from_os_error(error: OSError, where: str) -> SeatrialError:
    """Translate an operating system error that reached an edge."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(where)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageError("not allowed to write here", where=where, hint="check the folder's owner, or set SEATRIAL_HOME to another one")
    if isinstance(error, FileNotFoundError):
        return InputError("no such file", where=where, hint="check the path")
    return StorageError(str(error), where=where)

"""Nothing goes to somebody's cloud account by half-set variables: a real place needs a word for it."""

from __future__ import annotations

from jobs.contracts.errors import RequestError
from jobs.control.backend import Backend, Cloud


def real_place(backend: Backend) -> str:
    """Whose account a target's requests go to, in words; empty for everything that costs nobody anything."""
    return backend.real_place() if isinstance(backend, Cloud) else ""


def require(backend: Backend, *, real: bool) -> None:
    """Errors: RequestError that names the place, where it is a real one and nobody said so."""
    place = real_place(backend)
    if place and not real:
        hint = 'add --real if that is meant; to practise instead: seatrial practice up, then eval "$(seatrial practice env)"'
        raise RequestError(f"this would go to a real account: {place}", hint=hint)

"""One request on its way through the application."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from serve.answers import Refused

if TYPE_CHECKING:
    from serve.model import LoadedModel

_ID = re.compile(r"[!-~]{1,128}")
_NONE: NDArray[np.float32] = np.empty(0, np.float32)
_NOTHING: Mapping[str, Any] = {}


class Work:
    """``client``: the name of its key. ``columns`` and ``probabilities``: what was scored; empty where it was refused."""

    __slots__ = ("client", "columns", "id", "method", "model", "probabilities", "route", "started")

    def __init__(self, request_id: str, method: str) -> None:
        self.id, self.method, self.started = request_id, method, time.perf_counter()
        self.route, self.client = "other", ""
        self.model: LoadedModel | None = None
        self.columns, self.probabilities = _NOTHING, _NONE


def request_id(headers: Mapping[bytes, bytes]) -> str:
    """The client's, where it is printable and not too long, or a new one. It decides which version answers, so a client may repeat it."""
    given = headers.get(b"x-request-id")
    if given is not None and _ID.fullmatch(text := given.decode("latin-1")):
        return text
    return f"{random.getrandbits(128):032x}"  # it is no secret


def check_method(work: Work, allowed: str) -> None:
    """Errors: Refused 405."""
    if work.method != allowed and (work.method, allowed) != ("HEAD", "GET"):
        raise Refused(405, f"this path answers {allowed}", ((b"allow", allowed.encode()),))

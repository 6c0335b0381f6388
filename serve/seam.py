"""Between answering and watching: who chooses the version of a request, and who hears what was answered.

``serve.asgi`` answers; a :class:`Traffic` chooses and listens. ``serve.standalone`` has the simplest one (a model that never
changes, nobody listens), ``serve.rollout`` the one that follows the registry, splits, shadows and takes versions back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from serve.model import LoadedModel

Columns = Mapping[str, "pa.Array | list[Any]"]


@dataclass(frozen=True, slots=True)
class Scored:
    """One answer. ``columns``: raw values as the encoder got them, Arrow arrays or plain lists; empty, like ``probabilities``,
    where the request was refused."""

    request_id: str
    model: LoadedModel
    columns: Columns
    probabilities: NDArray[np.float32]
    seconds: float  # from the complete body to the answer
    status: int  # HTTP


class Traffic(Protocol):
    """The versions of one registered name. All but start and stop are called on the event loop and must not wait."""

    name: str

    @property
    def live(self) -> LoadedModel | None:
        """The champion; None before there is one."""

    @property
    def problem(self) -> str:
        """Why the wanted version is not live; empty when all is well."""

    def choose(self, request_id: str) -> LoadedModel | None:
        """Who answers this request: the same for the same id in every replica. None = no champion yet."""

    def by_version(self, version: str) -> LoadedModel | None:
        """A version that is loaded, whoever answers otherwise."""

    def after(self, scored: Scored) -> None:
        """Called once per scored request after its answer is made; microseconds, so: queue it, drop and count when full."""

    def state(self) -> dict[str, Any]:
        """For ``/v2/models/{name}`` and ``seatrial serve status``: plain values."""

    def start(self) -> None:
        """Begin to follow the registry, in threads of its own."""

    def stop(self) -> None: ...

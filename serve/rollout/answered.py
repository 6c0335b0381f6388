"""Answers on their way from the event loop to the thread that looks at them, many at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from serve.rollout.pace import resting
from serve.rows import RowColumns

if TYPE_CHECKING:
    from jobs.contracts.bundle import InputField
    from serve.model import LoadedModel

ARROW_TYPES = {"number": pa.float64(), "category": pa.string()}


class Answered(Protocol):
    """One answer, as ``serve.seam.Scored`` tells it. ``columns`` and ``probabilities`` are empty where the request was refused."""

    @property
    def request_id(self) -> str: ...
    @property
    def model(self) -> LoadedModel: ...
    @property
    def columns(self) -> Mapping[str, Any]: ...
    @property
    def probabilities(self) -> Any: ...
    @property
    def seconds(self) -> float: ...
    @property
    def status(self) -> int: ...


class Waiting:
    """A bounded queue. Putting takes under a microsecond and never waits; what does not fit is dropped and counted."""

    def __init__(self, rows: int) -> None:
        self._limit, self._rows = rows, 0
        self._queue: deque[Answered] = deque()
        self.dropped = 0  # answers

    def put(self, answered: Answered) -> None:
        """From the event loop alone. A large request counts with all its rows, because they are what takes memory."""
        if self._rows >= self._limit:
            self.dropped += 1
            return
        self._rows += 1 + len(answered.probabilities)
        self._queue.append(answered)

    def take(self) -> list[Answered]:
        """Everything that waits, for the one thread that looks. A count that is off by a race corrects itself here."""
        taken = [self._queue.popleft() for _ in range(len(self._queue))]
        self._rows = 0
        return taken


@dataclass(frozen=True)
class Batch:
    """Answers of one version. The first three are by request, the others by row of the answered requests."""

    model: LoadedModel
    seconds: NDArray[np.float64]
    failed: NDArray[np.bool_]
    ids: list[str]
    positions: NDArray[np.int32]  # of each row in its request
    columns: dict[str, pa.Array]
    probabilities: NDArray[np.float32]

    @property
    def rows(self) -> int:
        return len(self.probabilities)

    def sample(self, most: int) -> Batch:
        """At most so many rows, evenly spread; requests stay whole in the first two."""
        return self if self.rows <= most else self.take(np.linspace(0, self.rows - 1, most).astype(np.int64))

    def take(self, chosen: NDArray[np.int64]) -> Batch:
        """The batch with these rows alone."""
        columns = {name: column.take(pa.array(chosen)) for name, column in self.columns.items()}
        return Batch(self.model, self.seconds, self.failed, [self.ids[row] for row in chosen], self.positions[chosen], columns, self.probabilities[chosen])


def batches(answers: Iterable[Answered]) -> Iterator[Batch]:
    """Answers in any order to one batch per loaded version."""
    ordered = sorted(answers, key=lambda each: id(each.model))
    for _, group in groupby(ordered, key=lambda each: id(each.model)):
        yield _batch(list(group))


def _batch(answers: Sequence[Answered]) -> Batch:
    scored = [each for each in answers if len(each.probabilities)]
    model, counts = answers[0].model, [len(each.probabilities) for each in scored]
    return Batch(
        model=model,
        seconds=np.fromiter((each.seconds for each in answers), np.float64, len(answers)),
        failed=np.fromiter((each.status >= 400 for each in answers), np.bool_, len(answers)),
        ids=[each.request_id for each, count in zip(scored, counts, strict=True) for _ in range(count)],
        positions=np.concatenate([np.arange(count, dtype=np.int32) for count in counts]) if counts else np.empty(0, np.int32),
        columns=_columns(model.bundle.inputs, [each.columns for each in scored]) if scored else {},
        probabilities=np.concatenate([each.probabilities for each in scored]).astype(np.float32) if scored else np.empty(0, np.float32),
    )


def _columns(fields: Sequence[InputField], answers: Sequence[Mapping[str, Any]]) -> dict[str, pa.Array]:
    """The columns of all rows."""
    rows = [each.rows for each in answers if isinstance(each, RowColumns)]
    if len(rows) == len(answers):  # nearly always: compiled code turns rows around
        turned = zip(*chain.from_iterable(rows), strict=True)
        return {field.name: pa.array(values, ARROW_TYPES[field.kind]) for field, values in resting(zip(fields, turned, strict=True))}
    return {field.name: _column(field, [each[field.name] for each in answers]) for field in resting(fields)}


def _column(field: InputField, parts: Sequence[Any]) -> pa.Array:
    """One column of all rows, from Arrow arrays or plain lists."""
    wanted, kinds = ARROW_TYPES[field.kind], set(map(type, parts))
    if kinds <= {list, tuple}:
        return pa.array(list(chain.from_iterable(parts)), wanted)
    if all(issubclass(kind, pa.Array) for kind in kinds) and len({part.type for part in parts}) == 1:
        return pa.concat_arrays(parts).cast(wanted)  # once, because a cast of one value costs as much as all the rest
    return pa.concat_arrays([_array(part, wanted) for part in parts])


def _array(part: Any, wanted: pa.DataType) -> pa.Array:
    if isinstance(part, pa.ChunkedArray):
        part = part.combine_chunks()
    return part.cast(wanted) if isinstance(part, pa.Array) else pa.array(part, wanted, from_pandas=True)

"""``reference.json`` of a bundle: what the training data looked like, so that live traffic can be compared with it.

Counts in bins, because two histograms over the same bins are all that drift needs. It holds no rows: bounds are quantiles, and of a text
column the frequent values alone. A private column has none of it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.contracts import storage
from jobs.contracts.errors import IntegrityError

REFERENCE = "reference.json"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Histogram(_Frozen):
    """Of one column, or of the scores.

    A number falls into the first bin whose bound it does not exceed, else into the last one: ``counts`` has one entry more than ``bounds``.
    A text falls into the bin of its value, else into the last one.
    """

    name: str
    kind: Literal["number", "category"]
    bounds: tuple[float, ...] = ()
    values: tuple[str, ...] = ()
    counts: tuple[int, ...]
    nulls: int = 0

    @property
    def rows(self) -> int:
        return sum(self.counts) + self.nulls


class Reference(_Frozen):
    columns: tuple[Histogram, ...] = Field(description="of the train part")
    scores: Histogram = Field(description="the model's probabilities on the validation part")


def load(bundle: str) -> Reference | None:
    """None for a bundle that was made before there were references."""
    where = storage.join(bundle, REFERENCE)
    if not storage.exists(where):
        return None
    try:
        return Reference.model_validate_json(storage.read_bytes(where))
    except ValidationError as error:
        raise IntegrityError(f"reference.json does not validate: {error.errors()[0]['msg']}", where=where, hint="train again") from error

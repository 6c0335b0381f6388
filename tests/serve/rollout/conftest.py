"""A service's traffic over two published versions, without a server: the registry is a function, answers are handed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
from numpy.typing import NDArray

from jobs.control.rollout.record import Mode, Rollout
from jobs.control.rollout.standing import Standing
from serve.model import LoadedModel
from serve.rollout.traffic import RolloutTraffic
from tests.factories import make_rows
from tests.serve.conftest import Published

FEATURES = ("color", "size", "weight")


@dataclass(frozen=True)
class Answer:
    """As serve.seam.Scored."""

    request_id: str
    model: LoadedModel
    columns: Mapping[str, Any] = field(default_factory=dict)
    probabilities: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    seconds: float = 0.001
    status: int = 200


@dataclass
class Registry:
    """Stands where a test puts it; an exception is raised."""

    published: Published
    standing: Standing | Exception = field(default_factory=Standing)

    def __call__(self) -> Standing:
        if isinstance(self.standing, Exception):
            raise self.standing
        return self.standing

    def put(self, champion: int, challenger: int = 0, mode: Mode = Mode.FULL, *, previous: int = 0, revision: int = 1, **more: Any) -> None:
        numbers = [str(number) if number else "" for number in (champion, challenger, previous)]
        record = Rollout(revision=revision, mode=mode, champion=numbers[0], challenger=numbers[1], previous=numbers[2], action="promote", **more)
        self.standing = Standing(record, *(self.published.version(int(number)) if number else None for number in numbers))


@pytest.fixture
def registry(published: Published) -> Registry:
    return Registry(published)


@pytest.fixture
def traffic(registry: Registry) -> RolloutTraffic:
    return RolloutTraffic("parcels", registry)


def answers(choose: Callable[[str], LoadedModel | None], count: int, *, seed: int = 0, seconds: float = 0.001, shift: float = 0) -> list[Answer]:
    """Single rows as clients send them, answered by whichever version is chosen; ``shift`` is added to the size."""
    rows, made = make_rows(count, seed).select(FEATURES), []
    rows = rows.set_column(1, "size", pc.add(rows["size"], shift))
    for number in range(count):
        model = choose(f"request-{number}")
        assert model is not None
        row = rows.slice(number, 1)
        made.append(Answer(f"request-{number}", model, row.to_pydict(), model.scorer.score(row), seconds))
    return made

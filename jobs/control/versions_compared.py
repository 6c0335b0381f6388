"""Two registered versions side by side: what was measured, and what was done differently."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jobs.contracts.bundle import Bundle
from jobs.control import artefacts
from jobs.control.registry_reader import ModelVersion
from jobs.control.tracking import flatten


@dataclass(frozen=True)
class Difference:
    """One line: ``kind`` is "metric", "input", or "made with"; an empty text stands for what a version does not have."""

    kind: str
    name: str
    left: str
    right: str


@dataclass(frozen=True)
class Compared:
    """``left`` and ``right``: the versions' full names."""

    left: str
    right: str
    differences: list[Difference]


def compare(left: ModelVersion, right: ModelVersion) -> Compared:
    """Errors: as :func:`jobs.control.artefacts.describe`."""
    one, other = artefacts.describe(left), artefacts.describe(right)
    found = [*_metrics(one, other), *_inputs(one, other), *_making(left, right, one, other)]
    return Compared(f"{left.name}/{left.version}", f"{right.name}/{right.version}", found)


def _metrics(one: Bundle, other: Bundle) -> Iterator[Difference]:
    """Every metric, equal or not: two equal numbers are news too."""
    for name in dict.fromkeys([*one.metrics, *other.metrics]):
        yield Difference("metric", name, _interval(one, name), _interval(other, name))


def _interval(bundle: Bundle, name: str) -> str:
    found = bundle.metrics.get(name)
    return f"{found.value:.4f} ({found.low:.4f} to {found.high:.4f})" if found else ""


def _inputs(one: Bundle, other: Bundle) -> Iterator[Difference]:
    left, right = ({field.name: field.kind for field in bundle.inputs} for bundle in (one, other))
    for name in dict.fromkeys([*left, *right]):
        if left.get(name) != right.get(name):
            yield Difference("input", name, left.get(name, ""), right.get(name, ""))


def _making(left: ModelVersion, right: ModelVersion, one: Bundle, other: Bundle) -> Iterator[Difference]:
    """What is not equal of the task, the data, the train step, the code and the libraries."""
    first, second = (dict(_facts(version, bundle)) for version, bundle in ((left, one), (right, other)))
    for name in dict.fromkeys([*first, *second]):
        if first.get(name) != second.get(name):
            yield Difference("made with", name, _text(first.get(name)), _text(second.get(name)))


def _facts(version: ModelVersion, bundle: Bundle) -> Iterator[tuple[str, Any]]:
    yield "task", bundle.task
    yield "classes", ", ".join(bundle.classes)
    yield "dataset", bundle.dataset[:12]
    yield "code", version.tags.get("seatrial.code", "")[:12]
    yield from flatten(bundle.spec)
    yield from ((name, bundle.recorded[name]) for name in ("torch", "numpy", "python") if name in bundle.recorded)
    yield "run", bundle.run
    yield "bundle", version.fingerprint[:12]


def _text(value: Any) -> str:
    return "" if value is None else str(value)

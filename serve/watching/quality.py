"""How good the live answers were, once their labels are known: the same metrics as in the evaluation, by version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from jobs.contracts.bundle import Interval
from jobs.scoring import metrics
from serve.watching import late_labels
from serve.watching.rows import read

ENOUGH = 50  # labels; on fewer, an interval says nothing
_COLUMNS = ("request_id", "row", "time", "model_version", "role", "probability")


@dataclass(frozen=True)
class Quality:
    """``trial``: whether a shadow gave the scores, which nobody got."""

    version: str
    trial: bool
    rows: int
    labelled: int
    positives: int
    metrics: dict[str, Interval] = field(default_factory=dict)  # empty on too few labels, or of one class


def measure(folder: Path, thresholds: Mapping[str, float], *, since: float = 0) -> list[Quality]:
    """By version, newest version first. ``thresholds``: each version's own, by which F1 counts.

    Errors: InputError where there is no prediction log.
    """
    tables = [table.select(list(_COLUMNS)) for table in read(folder, since=since, columns=_COLUMNS)]
    if not tables:
        return []
    logged = pa.concat_tables(tables)
    joined = logged.join(late_labels.read(folder), keys=["request_id", "row"], join_type="left outer")
    return sorted(_by_version(joined, thresholds), key=lambda each: (-int(each.version) if each.version.isdigit() else 0, each.trial))


def _by_version(joined: pa.Table, thresholds: Mapping[str, float]) -> Iterator[Quality]:
    frame = {name: joined[name].to_pylist() for name in ("model_version", "role")}
    keys = [(version, role == "shadow") for version, role in zip(frame["model_version"], frame["role"], strict=True)]
    for version, trial in sorted(set(keys)):
        own = joined.filter(pa.array([key == (version, trial) for key in keys]))
        known = own.filter(own["label"].is_valid())
        labels, scores = known["label"].to_numpy(), known["probability"].to_numpy()
        found: dict[str, Interval] = {}
        if len(labels) >= ENOUGH and metrics.both_classes(labels):
            found = metrics.bootstrap(labels, scores, threshold=thresholds.get(version, 0.5))
        yield Quality(version, trial, own.num_rows, len(labels), int(labels.sum()), found)

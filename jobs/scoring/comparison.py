"""Is online equal to offline? The same rows, scored by a service and by the bundle in this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.contracts import bundle as bundles
from jobs.contracts import dataset as datasets
from jobs.contracts.errors import RunError
from jobs.scoring.scorer import Scorer

TOLERANCE = 1e-5  # both run the same session on the same tensors; the rest is JSON text and batch size
ROWS = 5_000  # compared unless the job file says otherwise


@dataclass(frozen=True)
class Sample:
    """Rows to compare: feature columns as plain values, and the label where it is known."""

    features: pa.Table
    labels: list[Any]

    def rows(self, start: int, count: int) -> list[dict[str, Any]]:
        return self.features.slice(start, count).to_pylist()  # type: ignore[no-any-return]


def sample_of(dataset: str, rows: int, bundle: str, scorer: Scorer) -> Sample:
    """``rows`` rows, evenly spread over the test part; without a dataset the bundle's example row."""
    if not dataset:
        return Sample(_plain(pa.Table.from_pylist([bundles.load_example(bundle)]), scorer), [None])
    manifest = datasets.load_manifest(dataset)
    names = [field.name for field in scorer.bundle.inputs]
    table = datasets.read_part(dataset, manifest, "test", [*names, manifest.label.name])
    wanted = min(rows, table.num_rows)
    if wanted < 1:
        raise RunError("there is no row to compare", where=dataset, hint="the test part is empty, or check_rows is below 1")
    table = table.take(np.linspace(0, table.num_rows - 1, wanted).astype(np.int64))
    return Sample(_plain(table, scorer), table[manifest.label.name].to_pylist())


def _plain(table: pa.Table, scorer: Scorer) -> pa.Table:
    """Feature columns as JSON can carry them: doubles and texts, NaN as null."""
    columns = {name: table[name].cast(pa.string()) for name in scorer.encoder.categorical}
    columns |= {name: table[name].cast(pa.string()) for name in scorer.encoder.texts}
    for name in scorer.encoder.numeric:
        columns[name] = pa.array(table[name].cast(pa.float64()).to_numpy(), from_pandas=True)
    return pa.table({field.name: columns[field.name] for field in scorer.bundle.inputs})


def difference(online: NDArray[np.float32], offline: NDArray[np.float32]) -> float:
    """The largest, of numbers beyond 1 relative to their size; NaN where an answer is none."""
    if len(online) != len(offline):
        raise RunError(f"{len(offline)} rows were sent and {len(online)} came back")
    return float((np.abs(online.astype(np.float64) - offline) / np.maximum(1.0, np.abs(offline))).max())


def refuse_if_different(largest: float, where: str) -> None:
    """Errors: RunError above the tolerance."""
    if not largest <= TOLERANCE:  # also true for NaN
        raise RunError(
            f"online and offline answers differ by {largest:.2g}, more than {TOLERANCE:g}",
            where=where,
            hint="does the service run the same code and bundle as this step?",
        )

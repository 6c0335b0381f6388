"""``python -m serve.deploy --job job.json``: wait until the service answers with a version, then check that online equals offline.

The registry alias has moved already; the service follows it by itself. This step reads, beside the usual variables:

    SEATRIAL_SERVE_URL       base address of the service
    SEATRIAL_MODEL_NAME      registered model name
    SEATRIAL_MODEL_VERSION   the version that the alias points to (an older one where the gate refused the new one)
    SEATRIAL_MODEL_URI       that version's bundle; one that an MLflow server hands out is fetched from SEATRIAL_TRACKING_URI

Parameters: ``timeout`` (seconds until the version must answer, 60), ``check_rows`` (rows of the test part that are
compared, 5,000; the first tenth of them also as JSON rows through /predict). Without an input ``dataset`` the
bundle's example row alone is compared. A difference above 1e-5 is an error.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.contracts import bundle as bundles
from jobs.contracts import dataset as datasets
from jobs.contracts.entrypoint import run_step
from jobs.contracts.errors import RunError, SetupError
from jobs.contracts.job import Context, StepResult
from jobs.control.artefacts import fetch_uri
from jobs.scoring.scorer import Scorer
from serve.client import Endpoint

TOLERANCE = 1e-5  # online and offline run the same session on the same tensors; the rest is JSON text and batch size
BATCH = 1_000  # rows per columnar request
PREDICT_BATCH = 100  # rows per /predict request


@dataclass(frozen=True)
class Sample:
    """Rows to compare: feature columns as plain values, and the label where it is known."""

    features: pa.Table
    labels: list[Any]

    def rows(self, start: int, count: int) -> list[dict[str, Any]]:
        return self.features.slice(start, count).to_pylist()  # type: ignore[no-any-return]


def deploy(context: Context) -> StepResult:
    """Wait for the wanted version, compare, and report one prediction as an example."""
    started = time.monotonic()
    endpoint = _endpoint(context)
    context.report(f"waiting for version {endpoint.version} at {endpoint.url}", fraction=0.0)
    endpoint.wait()
    bundle = fetch_uri(_setting("SEATRIAL_MODEL_URI"), context.tracking_uri)
    scorer = Scorer(bundle)
    sample = _sample(context, bundle, scorer)
    offline = scorer.score(sample.features)
    difference = max(_compare(context, endpoint, sample, offline))
    if not difference <= TOLERANCE:  # also true for NaN
        raise RunError(
            f"online and offline probabilities differ by {difference:.2g}, more than {TOLERANCE:g}",
            where=endpoint.url,
            hint="does the service run the same code and bundle as this step?",
        )
    rows = len(offline)
    context.report(f"online equals offline on {rows:,} rows (largest difference {difference:.1g})", fraction=1.0)
    return StepResult(
        summary={
            "url": endpoint.url,
            "model_version": endpoint.version,
            "rows_compared": rows,
            "max_difference": difference,
            "seconds": round(time.monotonic() - started, 3),
            "example": {"row": sample.rows(0, 1)[0], "probability": float(offline[0]), "label": sample.labels[0]},
        }
    )


def _endpoint(context: Context) -> Endpoint:
    timeout = float(context.job.params.get("timeout", 60))
    return Endpoint(_setting("SEATRIAL_SERVE_URL").rstrip("/"), _setting("SEATRIAL_MODEL_NAME"), _setting("SEATRIAL_MODEL_VERSION"), timeout=timeout)


def _setting(name: str) -> str:
    if value := os.environ.get(name):
        return value
    raise SetupError(f"{name} is not set", hint="a deploy step is run by `seatrial run`, which starts the service and sets it")


def _sample(context: Context, bundle: str, scorer: Scorer) -> Sample:
    """``check_rows`` rows, evenly spread over the test part."""
    inputs = scorer.bundle.inputs
    if "dataset" not in context.inputs:
        example = bundles.load_example(bundle)
        return Sample(_plain(pa.Table.from_pylist([example]), scorer), [None])
    manifest = datasets.load_manifest(context.inputs["dataset"])
    names = [field.name for field in inputs]
    table = datasets.read_part(context.inputs["dataset"], manifest, "test", [*names, manifest.label.name])
    wanted = min(int(context.job.params.get("check_rows", 5_000)), table.num_rows)
    if wanted < 1:
        raise RunError("there is no row to compare", where=context.inputs["dataset"], hint="the test part is empty, or check_rows is below 1")
    table = table.take(np.linspace(0, table.num_rows - 1, wanted).astype(np.int64))
    return Sample(_plain(table, scorer), table[manifest.label.name].to_pylist())


def _plain(table: pa.Table, scorer: Scorer) -> pa.Table:
    """Feature columns as JSON can carry them: doubles and texts, NaN as null."""
    columns = {name: table[name].cast(pa.string()) for name in scorer.encoder.categorical}
    for name in scorer.encoder.numeric:
        columns[name] = pa.array(table[name].cast(pa.float64()).to_numpy(), from_pandas=True)
    return pa.table({field.name: columns[field.name] for field in scorer.bundle.inputs})


def _compare(context: Context, endpoint: Endpoint, sample: Sample, offline: NDArray[np.float32]) -> Iterator[float]:
    """Largest difference of each request, columns first, then rows."""
    rows = len(offline)
    for start in range(0, rows, BATCH):
        online = endpoint.infer(sample.features.slice(start, BATCH))
        yield _difference(online, offline[start : start + BATCH])
        context.report(f"compared {min(start + BATCH, rows):,} of {rows:,} rows", fraction=min(start + BATCH, rows) / rows * 0.9)
    for start in range(0, max(1, rows // 10), PREDICT_BATCH):
        online = endpoint.predict(sample.rows(start, PREDICT_BATCH))
        yield _difference(online, offline[start : start + PREDICT_BATCH])
    yield _difference(endpoint.predict(sample.rows(0, 1)[0]), offline[:1])


def _difference(online: NDArray[np.float32], offline: NDArray[np.float32]) -> float:
    if len(online) != len(offline):
        raise RunError(f"{len(offline)} rows were sent and {len(online)} came back")
    return float(np.abs(online.astype(np.float64) - offline).max())


if __name__ == "__main__":
    sys.exit(run_step(deploy))

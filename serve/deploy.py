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

import numpy as np
from numpy.typing import NDArray

from jobs.contracts.entrypoint import run_step
from jobs.contracts.errors import SetupError
from jobs.contracts.job import Context, StepResult
from jobs.control.artefacts import fetch_uri
from jobs.scoring.comparison import ROWS, Sample, difference, refuse_if_different, sample_of
from jobs.scoring.scorer import Scorer
from serve.client import Endpoint

BATCH = 1_000  # rows per columnar request
PREDICT_BATCH = 100  # rows per /predict request


def deploy(context: Context) -> StepResult:
    """Wait for the wanted version, compare, and report one prediction as an example."""
    started = time.monotonic()
    endpoint = _endpoint(context)
    context.report(f"waiting for version {endpoint.version} at {endpoint.url}", fraction=0.0)
    endpoint.wait()
    bundle = fetch_uri(_setting("SEATRIAL_MODEL_URI"), context.tracking_uri)
    scorer = Scorer(bundle)
    sample = sample_of(context.inputs.get("dataset", ""), int(context.job.params.get("check_rows", ROWS)), bundle, scorer)
    offline = scorer.score(sample.features)
    largest = max(_compare(context, endpoint, sample, offline))
    refuse_if_different(largest, endpoint.url)
    rows = len(offline)
    context.report(f"online equals offline on {rows:,} rows (largest difference {largest:.1g})", fraction=1.0)
    return StepResult(
        summary={
            "url": endpoint.url,
            "model_version": endpoint.version,
            "rows_compared": rows,
            "max_difference": largest,
            "seconds": round(time.monotonic() - started, 3),
            "example": {"row": sample.rows(0, 1)[0], scorer.task.output: offline[0].tolist(), "label": sample.labels[0]},
        }
    )


def _endpoint(context: Context) -> Endpoint:
    timeout = float(context.job.params.get("timeout", 60))
    return Endpoint(_setting("SEATRIAL_SERVE_URL").rstrip("/"), _setting("SEATRIAL_MODEL_NAME"), _setting("SEATRIAL_MODEL_VERSION"), timeout=timeout)


def _setting(name: str) -> str:
    if value := os.environ.get(name):
        return value
    raise SetupError(f"{name} is not set", hint="a deploy step is run by `seatrial run`, which starts the service and sets it")


def _compare(context: Context, endpoint: Endpoint, sample: Sample, offline: NDArray[np.float32]) -> Iterator[float]:
    """Largest difference of each request, columns first, then rows."""
    rows = len(offline)
    for start in range(0, rows, BATCH):
        online = endpoint.infer(sample.features.slice(start, BATCH))
        yield difference(online, offline[start : start + BATCH])
        context.report(f"compared {min(start + BATCH, rows):,} of {rows:,} rows", fraction=min(start + BATCH, rows) / rows * 0.9)
    for start in range(0, max(1, rows // 10), PREDICT_BATCH):
        online = endpoint.predict(sample.rows(start, PREDICT_BATCH))
        yield difference(online, offline[start : start + PREDICT_BATCH])
    yield difference(endpoint.predict(sample.rows(0, 1)[0]), offline[:1])


if __name__ == "__main__":
    sys.exit(run_step(deploy))

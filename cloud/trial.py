"""Tries a deployed endpoint out from here: sends rows, compares the answers with the offline scores, and writes the step's result.

On other targets a process beside the service does this (``serve.deploy``). A cloud's endpoint takes only signed requests, and the
one who has the credentials is the client.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jobs.contracts.errors import RunError
from jobs.contracts.job import StepResult
from jobs.scoring.comparison import ROWS, difference, refuse_if_different, sample_of

BATCH = 500  # rows of one request: some hundred kilobytes of JSON, far below any cloud's limit

Ask = Callable[[Sequence[Mapping[str, Any]]], bytes]  # rows to the answer's JSON


@dataclass(frozen=True)
class Deployed:
    """What answers, and what it should answer. ``bundle`` and ``dataset`` are folders that this process can read; "" = no dataset."""

    url: str
    version: str
    bundle: str
    dataset: str
    params: Mapping[str, Any]


def try_out(deployed: Deployed, ask: Ask) -> StepResult:
    """Errors: RunError when an answer is not what the bundle says."""
    from jobs.scoring.scorer import Scorer

    started = time.monotonic()
    scorer = Scorer(deployed.bundle)
    sample = sample_of(deployed.dataset, int(deployed.params.get("check_rows", ROWS)), deployed.bundle, scorer)
    offline = scorer.score(sample.features)
    rows = len(offline)
    largest = 0.0
    for start in range(0, rows, BATCH):
        online = _probabilities(ask, sample.rows(start, BATCH), deployed.url)
        largest = max(largest, difference(online, offline[start : start + BATCH]))
        refuse_if_different(largest, deployed.url)
    summary = {
        "url": deployed.url,
        "model_version": deployed.version,
        "rows_compared": rows,
        "max_difference": largest,
        "seconds": round(time.monotonic() - started, 3),
        "example": {"row": sample.rows(0, 1)[0], "probability": float(offline[0]), "label": sample.labels[0]},
        "headline": f"online equals offline on {rows:,} rows (largest difference {largest:.1g})",
    }
    return StepResult(summary=summary)


def _probabilities(ask: Ask, rows: Sequence[Mapping[str, Any]], where: str) -> Any:
    """Of either protocol: ``/invocations`` answers with numbers, ``/predict`` with one object for each row."""
    answer = ask(rows)
    try:
        found = [each["probability"] if isinstance(each, Mapping) else each for each in json.loads(answer)["predictions"]]
        return np.array(found, np.float32)
    except (ValueError, KeyError, TypeError) as error:
        told = answer[:200].decode("utf-8", "replace")
        raise RunError(f"the endpoint answered something else than predictions: {told}", where=where, hint="does its image serve this bundle?") from error

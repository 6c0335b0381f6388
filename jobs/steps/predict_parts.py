"""One file of predictions per piece of the input: made whole, or found whole from an earlier try of the same job.

A file carries in its metadata whose it is (the job's fingerprint and the piece), and how many rows were rejected for which reason.
The rejected rows of a piece are written before its predictions, whose presence says that the piece is done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from jobs.contracts import storage
from jobs.contracts.predictions import PREDICTED, REASON, REJECTED, ROW_NUMBER, PredictionFile
from jobs.scoring.scorer import Scorer
from jobs.steps import predict_fit
from jobs.steps.predict_rows import Piece, Rows

PROBABILITY, LABEL, PREDICTION = "probability", "label", "prediction"
LOW, HIGH = "prediction_low", "prediction_high"  # of a bundle with intervals
ANSWERS = (PROBABILITY, LABEL, PREDICTION, LOW, HIGH)
_OWN = b"seatrial"  # key in a file's metadata
_COMPRESSION = "zstd"


@dataclass(frozen=True)
class Asked:
    """What is predicted, with what, and what a row of the answer holds."""

    job: str  # fingerprint
    rows: Rows
    scorer: Scorer
    ids: tuple[str, ...]
    threshold: float | None
    batch: int


@dataclass(frozen=True)
class Part:
    files: tuple[PredictionFile, ...]
    rejected: Mapping[str, int]


def columns(asked: Asked) -> dict[str, str]:
    """Columns of the predictions and their Arrow types, as a reader finds them."""
    return {field.name: str(field.type) for field in _schema(asked)}


def finished(asked: Asked, piece: Piece, output: str) -> Part | None:
    """A part that an earlier try of the same job has made, or None."""
    path = _path(PREDICTED, piece)
    where = storage.join(output, path)
    if not storage.exists(where):
        return None
    files, inner = storage.filesystem(where)
    try:
        metadata = pq.read_metadata(inner, filesystem=files)
        own = json.loads((metadata.metadata or {})[_OWN])
    except (pa.ArrowInvalid, KeyError, ValueError):
        return None
    rejected = own.get("rejected", {})
    if (own.get("job"), own.get("piece")) != (asked.job, piece.digest) or metadata.num_rows + sum(rejected.values()) != piece.rows:
        return None
    found = [_described(output, path, metadata.num_rows)]
    if rejected:
        if not storage.exists(storage.join(output, _path(REJECTED, piece))):
            return None
        found.append(_described(output, _path(REJECTED, piece), sum(rejected.values())))
    return Part(tuple(found), rejected)


def make(asked: Asked, piece: Piece, output: str, scored: Callable[[int], None]) -> Part:
    """Score a piece and write its files. ``scored`` hears of every batch."""
    answers: list[pa.RecordBatch] = []
    left: list[pa.RecordBatch] = []
    position = piece.first
    for span in piece.spans:
        schema = asked.rows.schema(span.path)
        wanted = list(dict.fromkeys([*asked.ids, *(field.name for field in asked.scorer.bundle.inputs)]))
        dictionaries = [name for name in predict_fit.texts(schema, asked.scorer.bundle.inputs) if name not in asked.ids]
        for batch in asked.rows.batches(span, wanted, asked.batch, dictionaries):
            answer, out = _answer(asked, batch, position)
            answers.append(answer)
            left += [out] if out is not None else []
            position += batch.num_rows
            scored(batch.num_rows)
    rejected = _by_reason(left)
    own = {_OWN: json.dumps({"job": asked.job, "piece": piece.digest, "rejected": rejected}).encode()}
    found = [_write(output, _path(REJECTED, piece), pa.Table.from_batches(left))] if left else []
    table = pa.Table.from_batches(answers) if answers else _schema(asked).empty_table()
    return Part((_write(output, _path(PREDICTED, piece), table.replace_schema_metadata(own)), *found), rejected)


def listed(output: str) -> list[str]:
    """Files of parts that lie at an output, below it."""
    folders = [name for name in (PREDICTED, REJECTED) if storage.exists(storage.join(output, name))]
    return [f"{name}/{file}" for name in folders for file in storage.list_files(storage.join(output, name))]


def _answer(asked: Asked, batch: pa.RecordBatch, position: int) -> tuple[pa.RecordBatch, pa.RecordBatch | None]:
    fitted = predict_fit.fit(batch, asked.scorer.bundle.inputs)
    scores = asked.scorer.score(fitted.columns, batch.num_rows)
    reasons = predict_fit.with_scores(fitted.reasons, scores)
    numbers = pa.array(np.arange(position, position + batch.num_rows))
    known = [(name, batch.column(name)) for name in asked.ids] or [(ROW_NUMBER, numbers)]
    answer = pa.RecordBatch.from_pydict(dict([*known, *_said(asked, scores).items()]))
    if reasons is None:
        return answer, None
    keep = pc.is_null(reasons)
    told = {ROW_NUMBER: numbers, **{name: batch.column(name) for name in asked.ids}, REASON: reasons}
    return answer.filter(keep), pa.RecordBatch.from_pydict(told).filter(pc.invert(keep))


def _said(asked: Asked, scores: NDArray[np.float32]) -> dict[str, pa.Array]:
    """What the model says, as columns."""
    if asked.threshold is None and scores.ndim == 1:
        return {PREDICTION: pa.array(scores), **_ends(asked, scores)}
    if asked.threshold is None:  # of several classes the likeliest one, as serving answers
        likeliest = pa.array(scores.argmax(axis=1).astype(np.int32))
        names = pa.array(asked.scorer.bundle.classes, pa.string())
        return {PROBABILITY: pa.array(asked.scorer.task.headline(scores)), LABEL: names.take(likeliest)}
    # In float64, as serving compares them.
    return {PROBABILITY: pa.array(scores), LABEL: pa.array((scores.astype(np.float64) >= asked.threshold).astype(np.int8))}


def _ends(asked: Asked, values: NDArray[np.float32]) -> dict[str, pa.Array]:
    """Rounded to float32 last, from the ends that serving answers."""
    if not (found := asked.scorer.bundle.intervals):
        return {}
    exact = values.astype(np.float64)
    return {name: pa.array((exact + reach).astype(np.float32)) for name, reach in ((LOW, -found.half_width), (HIGH, found.half_width))}


def _schema(asked: Asked) -> pa.Schema:
    known = asked.rows.schema(asked.rows.files[0])
    ids = [pa.field(name, known.field(name).type) for name in asked.ids] or [pa.field(ROW_NUMBER, pa.int64())]
    if asked.scorer.task.name in ("regression", "forecast"):
        names = (PREDICTION, LOW, HIGH) if asked.scorer.bundle.intervals else (PREDICTION,)
        return pa.schema([*ids, *(pa.field(name, pa.float32()) for name in names)])
    return pa.schema([*ids, pa.field(PROBABILITY, pa.float32()), pa.field(LABEL, pa.int8() if asked.threshold is not None else pa.string())])


def _by_reason(left: list[pa.RecordBatch]) -> dict[str, int]:
    if not left:
        return {}
    counted = pc.value_counts(pa.Table.from_batches(left)[REASON]).to_pylist()
    return {entry["values"]: entry["counts"] for entry in sorted(counted, key=lambda entry: entry["values"])}


def _write(output: str, path: str, table: pa.Table) -> PredictionFile:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression=_COMPRESSION)
    data: Any = sink.getvalue().to_pybytes()
    storage.write_bytes(storage.join(output, path), data)
    return PredictionFile(path=path, rows=table.num_rows, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def _described(output: str, path: str, rows: int) -> PredictionFile:
    where = storage.join(output, path)
    return PredictionFile(path=path, rows=rows, bytes=storage.stat(where).size, sha256=storage.sha256(where))


def _path(folder: str, piece: Piece) -> str:
    return f"{folder}/part-{piece.number:05d}.parquet"

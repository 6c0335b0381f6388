"""The predict step: a bundle's answer to every row of a table.

    inputs   bundle           a step's output, a registered model (``models:/name@champion``), or a bundle's location
             rows             a dataset of ours, or plain Parquet: a file or a folder of files
    params   part: []         parts of a dataset, a name or a list; empty = all
             ids: [...]       columns that are carried through; default: key and time of a dataset, or ``row_number``
             threshold: …     from which the label is 1; default: the bundle's
             part_rows: 500000, batch: 65536    rows of one file of predictions, and rows scored at a time
    output   predictions      see :mod:`jobs.contracts.predictions`

Memory holds a batch of rows and one part's predictions. Parts appear whole or not at all, so the same job started again after a kill
makes only those that are missing. Runs on Arrow, numpy and ONNX Runtime; ``resources.cpu`` are its threads.
"""

from __future__ import annotations

import importlib.metadata
import platform
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from jobs.contracts import predictions, storage
from jobs.contracts.entrypoint import run_step
from jobs.contracts.errors import InputError, SpecError, complaint
from jobs.contracts.job import Context, Product, StepResult
from jobs.contracts.predictions import MANIFEST, Predictions
from jobs.scoring.scorer import Scorer
from jobs.steps import predict_fit, predict_parts
from jobs.steps.predict_parts import Asked, Part
from jobs.steps.predict_rows import Rows, open_rows

_SIGN_OF_LIFE = 5.0  # seconds


class Params(BaseModel):
    """``params`` of a predict step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: tuple[str, ...] = ()
    ids: tuple[str, ...] | None = None
    threshold: float | None = Field(default=None, ge=0, le=1)
    part_rows: int = Field(default=500_000, ge=1)
    batch: int = Field(default=65_536, ge=1)

    @field_validator("part", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @classmethod
    def of(cls, params: dict[str, Any]) -> Params:
        try:
            return cls.model_validate(params)
        except ValidationError as error:
            what, where = complaint(error)
            raise SpecError(what, where=f"params.{where}", hint=f"a predict step takes {', '.join(cls.model_fields)}") from error


@dataclass
class _Watch:
    """Says now and then how far it is. ``done``: rows of finished parts; ``scored``: by this process."""

    context: Context
    total: int
    started: float
    said: float = 0.0
    done: int = 0
    scored: int = 0

    def row_batch(self, rows: int) -> None:
        self.done += rows
        self.scored += rows
        if time.monotonic() - self.said > _SIGN_OF_LIFE:
            self.say()

    def say(self) -> None:
        self.said = time.monotonic()
        message = f"{self.done:,} of {self.total:,} rows, {self.speed:,.0f} rows/s"
        self.context.report(message, fraction=self.done / max(1, self.total), rows=self.done, rows_per_second=round(self.speed))

    @property
    def speed(self) -> float:
        return self.scored / max(1e-9, time.monotonic() - self.started)


def work(context: Context) -> StepResult:
    """Score every row of a table with a published bundle."""
    params = Params.of(context.job.params)
    rows, scorer = open_rows(_input(context, "rows"), params.part), _scorer(context)
    asked = Asked(context.job.fingerprint, rows, scorer, _ids(params, rows, scorer), _threshold(params, scorer), params.batch)
    for path in rows.files:
        predict_fit.check_schema(rows.schema(path), scorer.bundle.inputs, asked.ids, rows.location(path))
    output = _output(context)
    pieces = rows.pieces(params.part_rows)
    watch = _Watch(context, sum(piece.rows for piece in pieces), time.monotonic())
    parts: list[Part] = []
    for piece in pieces:
        part = predict_parts.finished(asked, piece, output)
        if part is None:
            part = predict_parts.make(asked, piece, output, watch.row_batch)
        else:
            watch.done += piece.rows
        parts.append(part)
    watch.say()
    return _result(context, output, _publish(context, params, asked, parts, output, watch), watch)


def _input(context: Context, name: str) -> str:
    if uri := context.inputs.get(name, ""):
        return uri
    raise InputError(f"a predict step needs the input {name!r}", where=f"step {context.job.step}", hint=f"add `{name}:` to its inputs in the job file")


def _output(context: Context) -> str:
    if len(context.outputs) != 1:
        raise SpecError(f"a predict step has one output, this one {len(context.outputs)}", where="outputs", hint="outputs: {scores: predictions}")
    return next(iter(context.outputs.values()))


def _scorer(context: Context) -> Scorer:
    return Scorer(_input(context, "bundle"), threads=max(1, int(context.job.resources.get("cpu", 1))))


def _ids(params: Params, rows: Rows, scorer: Scorer) -> tuple[str, ...]:
    """Errors: SpecError for a column that may not leave."""
    ids = rows.ids() if params.ids is None else params.ids
    private = rows.private() | {field.name for field in scorer.bundle.inputs if field.private}
    if hidden := [name for name in ids if name in private]:
        raise SpecError(f"{hidden[0]!r} is marked private and is not carried through", where="params.ids", hint="name other columns")
    if taken := set(ids) & {predictions.ROW_NUMBER, predictions.REASON, *predict_parts.ANSWERS}:
        raise SpecError(f"{min(taken)!r} is the name of a column that this step makes", where="params.ids", hint="rename the column in the rows")
    return tuple(ids)


def _threshold(params: Params, scorer: Scorer) -> float | None:
    return (scorer.bundle.threshold if params.threshold is None else params.threshold) if scorer.bundle.task == "binary" else None


def _publish(context: Context, params: Params, asked: Asked, parts: list[Part], output: str, watch: _Watch) -> Predictions:
    """``manifest.json`` last; files that an earlier try left and this one does not know go first."""
    files = [file for part in parts for file in part.files]
    rejected = sum((Counter(part.rejected) for part in parts), Counter[str]())
    for name in predict_parts.listed(output):
        if name not in {file.path for file in files}:
            storage.remove(storage.join(output, name))
    bundle = asked.scorer.bundle
    manifest = predictions.published(
        model=bundle.name,
        bundle=asked.scorer.fingerprint,
        dataset=bundle.dataset,
        rows=context.job.input_fingerprints.get("rows", ""),
        parts=params.part,
        ids=asked.ids,
        columns=predict_parts.columns(asked),
        output=bundle.output,
        threshold=asked.threshold,
        read=watch.total,
        predicted=watch.total - rejected.total(),
        rejected=dict(sorted(rejected.items())),
        files=files,
        recorded={
            "run": context.job.run,
            "seconds": round(time.monotonic() - watch.started, 3),
            "rows_per_second": round(watch.speed),
            "host": platform.node(),
            "time": round(time.time()),
            "versions": {name: importlib.metadata.version(name) for name in ("onnxruntime", "numpy", "pyarrow")},
        },
    )
    storage.write_bytes(storage.join(output, MANIFEST), manifest.model_dump_json(indent=1).encode())
    return manifest


def _result(context: Context, output: str, manifest: Predictions, watch: _Watch) -> StepResult:
    summary = {
        "rows": manifest.read,
        "predicted": manifest.predicted,
        "rejected": manifest.rejected,
        "files": len(manifest.files),
        "rows_per_second": manifest.recorded["rows_per_second"],
        "made_before": watch.total - watch.scored,
        "model": manifest.model,
        "bundle": manifest.bundle,
        "headline": f"{manifest.predicted:,} rows predicted, {sum(manifest.rejected.values()):,} rejected",
    }
    return StepResult(outputs={name: Product(uri=output, fingerprint=manifest.fingerprint) for name in context.outputs}, summary=summary)


if __name__ == "__main__":
    sys.exit(run_step(work))

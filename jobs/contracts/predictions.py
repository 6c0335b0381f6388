"""Predictions of a whole table: Parquet files plus ``manifest.json``, written last (its presence is the commit).

<predictions>/predictions/part-00000.parquet   id columns (or ``row_number``), then what the model says: probability and label (as in serving), or prediction
              rejected/part-00000.parquet      row_number, id columns and ``reason``: rows that do not fit the model's inputs
              manifest.json                    lineage, rows, and the SHA-256 of every file

Of a bundle with intervals, prediction_low and prediction_high follow the prediction.
Every row that was read is in one of the two, in the order of the input. No input is repeated but the id columns.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.contracts import fingerprint as fingerprints
from jobs.contracts import storage
from jobs.contracts.errors import InputError, IntegrityError

CONTRACT = 1
MANIFEST, PREDICTED, REJECTED = "manifest.json", "predictions", "rejected"
ROW_NUMBER, REASON = "row_number", "reason"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PredictionFile(_Frozen):
    path: str = Field(description="relative to the manifest")
    rows: int
    bytes: int
    sha256: str


class Predictions(_Frozen):
    contract: int = CONTRACT
    type: Literal["predictions"] = "predictions"
    fingerprint: str = Field(description="of the files and of what they were made from")
    model: str = Field(description="registered name of the model")
    bundle: str = Field(description="fingerprint of the bundle that answered")
    dataset: str = Field(description="fingerprint of the dataset that the bundle was trained on")
    rows: str = Field(description="fingerprint of the rows that were read")
    parts: tuple[str, ...] = Field(default=(), description="parts of a dataset that were read; empty = a plain table")
    ids: tuple[str, ...]
    columns: dict[str, str] = Field(description="column of the predictions to Arrow type")
    output: str = Field(description="what the number is of")
    threshold: float | None = None
    read: int = Field(description="rows that were read = predicted + rejected")
    predicted: int
    rejected: dict[str, int] = Field(default_factory=dict, description="rows left out by reason")
    files: tuple[PredictionFile, ...]
    recorded: dict[str, Any] = Field(default_factory=dict, description="run, versions, host, clock, seconds: facts about the making")


def published(**facts: Any) -> Predictions:
    """The manifest of these facts, under its fingerprint."""
    draft = Predictions.model_validate({**facts, "fingerprint": ""})
    return draft.model_copy(update={"fingerprint": fingerprints.of(draft.model_dump(mode="json", exclude={"recorded", "fingerprint"}))})


def load(uri: str, *, verify_files: bool = False) -> Predictions:
    """Errors: InputError when there is no manifest; IntegrityError when it, or a file it lists, is not as published."""
    where = storage.join(uri, MANIFEST)
    if not storage.exists(where):
        raise InputError("these are no finished predictions: there is no manifest.json", where=uri, hint="run the step again; finished parts are kept")
    try:
        found = Predictions.model_validate_json(storage.read_bytes(where))
    except ValidationError as error:
        raise IntegrityError(f"the manifest does not validate: {error.errors()[0]['msg']}", where=where, hint="are these predictions?") from error
    for file in found.files if verify_files else ():
        path = storage.join(uri, file.path)
        if not storage.exists(path) or storage.sha256(path) != file.sha256:
            raise IntegrityError("a file is missing or does not match its SHA-256 in the manifest", where=path, hint="run the step again with --fresh")
    return found

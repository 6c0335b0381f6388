"""A bundle: one exported model that executes no code when it is loaded.

<bundle>/model.onnx   weights inside; inputs "categorical" int64 [n, C] and "numeric" float32 [n, N] (NaN = null),
                      one output, by task (:data:`OUTPUTS`); imputing, clipping and scaling are in the graph
         vocab.json   category column -> list of known values; index = position + 1, 0 = unknown or null
         tokens.json  only with free text: column -> {"length": L, "tokens": [...]}; each text is L columns more of "categorical"
         example.json one real row of the input schema
         MLmodel      the onnx flavour, so that MLflow's tools recognise it
         bundle.json  written last: schema, metrics, lineage and the SHA-256 of every other file
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from jobs.contracts import fingerprint, storage
from jobs.contracts.errors import InputError, IntegrityError

CONTRACT = 1
BUNDLE, MODEL, VOCABULARY, TOKENS, EXAMPLE, MLMODEL = "bundle.json", "model.onnx", "vocab.json", "tokens.json", "example.json", "MLmodel"

TaskName = Literal["binary", "multiclass", "regression", "forecast"]
# The output tensor: the chance of yes [n], a chance for each class [n, K], or a number in the label's unit [n].
OUTPUTS: dict[TaskName, str] = {"binary": "probability", "multiclass": "probabilities", "regression": "value", "forecast": "value"}


_LATER = ("classes", "temperature", "costs", "intervals")  # fields of a bundle that the first ones did not have


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputField(_Frozen):
    """One raw feature as a client sends it; null is always allowed."""

    name: str
    kind: Literal["number", "category", "text"]
    unit: str = ""
    description: str = ""
    private: bool = Field(default=False, description="never written to a log of predictions")

    @model_serializer(mode="wrap")
    def _without_default(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Left out where it is false, so that bundles which never said it keep their fingerprint."""
        found: dict[str, Any] = dump(self)
        return found if found.get("private") else {key: value for key, value in found.items() if key != "private"}


class Interval(_Frozen):
    """A metric with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class Costs(_Frozen):
    """What a wrong decision costs, in whatever unit the two share; a right one is free."""

    false_positive: float = Field(gt=0, allow_inf_nan=False, description="a yes to a row of label 0")
    false_negative: float = Field(gt=0, allow_inf_nan=False, description="a no to a row of label 1")


class PredictionInterval(_Frozen):
    """From ``half_width`` below a predicted value to as much above it; ``level`` is the share of rows that it is meant to hold."""

    level: float = Field(gt=0, lt=1)
    half_width: float = Field(ge=0, allow_inf_nan=False, description="in the label's unit; fitted on the validation part")


class Bundle(_Frozen):
    contract: int = CONTRACT
    name: str = Field(description="registered model name")
    task: TaskName = "binary"
    classes: tuple[str, ...] = Field(default=(), description="multiclass: the label's values, in the order of the output's columns")
    inputs: tuple[InputField, ...]
    output: str = Field(description="what the probability is of, or what is predicted")
    threshold: float = Field(description="binary: chosen on the validation part to maximise F1, or to cost least; otherwise 0")
    temperature: float = Field(default=1.0, gt=0, description="what the graph divides its logits by; fitted on the validation part")
    costs: Costs | None = Field(default=None, description="binary: by which the threshold was chosen")
    intervals: PredictionInterval | None = Field(default=None, description="regression, forecast: what is answered beside a value")
    metrics: dict[str, Interval] = Field(description="on the validation part")
    dataset: str = Field(description="fingerprint of the dataset it was trained on")
    run: str = Field(description="run that trained it")
    spec: dict[str, Any] = Field(description="the train step as it stood in the job file")
    files: dict[str, str] = Field(description="SHA-256 of every other file of the bundle")
    recorded: dict[str, Any] = Field(default_factory=dict, description="library versions, clock, host")

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what came later and says nothing here, so that bundles which never said it keep their fingerprint."""
        silent = {name for name in _LATER if getattr(self, name) == type(self).model_fields[name].default}
        return {key: value for key, value in dump(self).items() if key not in silent}

    @property
    def fingerprint(self) -> str:
        """Of what the bundle is, not of when or where it was made."""
        return fingerprint.of(self.model_dump(mode="json", exclude={"recorded", "run"}))

    def inputs_of(self, kind: Literal["number", "category", "text"]) -> tuple[str, ...]:
        """Column names of one kind, in the order of the model's input tensor."""
        return tuple(field.name for field in self.inputs if field.kind == kind)


def load(uri: str, *, verify_files: bool = True) -> Bundle:
    """Read ``bundle.json`` and, unless told otherwise, check every file's SHA-256 before anything opens it."""
    where = storage.join(uri, BUNDLE)
    if not storage.exists(where):
        raise InputError("this is no bundle: it has no bundle.json", where=uri, hint="run the training step again; bundle.json is written last")
    try:
        bundle = Bundle.model_validate_json(storage.read_bytes(where))
    except ValidationError as error:
        raise IntegrityError(
            f"bundle.json does not validate: {error.errors()[0]['msg']}", where=where, hint="train again, or register another version"
        ) from error
    if bundle.contract != CONTRACT:
        raise InputError(f"bundle contract {bundle.contract}, this Seatrial reads {CONTRACT}", where=where, hint="train again")
    for name, digest in bundle.files.items() if verify_files else ():
        if not storage.exists(storage.join(uri, name)) or storage.sha256(storage.join(uri, name)) != digest:
            raise IntegrityError(
                "the file is missing or does not match its SHA-256 in bundle.json",
                where=storage.join(uri, name),
                hint="the bundle was changed after publishing: train again",
            )
    return bundle


def publish(folder: Path, bundle: Bundle) -> None:
    """The commit: write ``bundle.json`` into a folder that holds every other file already."""
    storage.write_bytes(str(folder / BUNDLE), bundle.model_dump_json(indent=1).encode())


def load_example(uri: str) -> dict[str, Any]:
    return json.loads(storage.read_bytes(storage.join(uri, EXAMPLE)))  # type: ignore[no-any-return]

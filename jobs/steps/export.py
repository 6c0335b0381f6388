"""A trained module to a published bundle: ONNX graph, vocabularies, an example, metrics on validation, lineage."""

from __future__ import annotations

import hashlib
import json
import platform
import time
import warnings
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from jobs.contracts import bundle as bundles
from jobs.contracts import dataset as datasets
from jobs.contracts import storage
from jobs.contracts.bundle import Bundle, InputField, TaskName
from jobs.contracts.dataset import Column, Manifest, is_text
from jobs.contracts.errors import RunError
from jobs.contracts.job import Context, Job
from jobs.contracts.reference import REFERENCE
from jobs.contracts.workload import Model
from jobs.scoring import calibration, histograms, tasks
from jobs.scoring.scorer import Scorer
from jobs.steps.loader import Loader, Rows
from jobs.steps.uncertainty import Uncertainty

# Largest accepted difference between torch's answers and ONNX Runtime's; where the largest is beyond 1, relative to it: an answer near zero
# may be a sum of large terms, whose rounding it keeps.
TOLERANCE = 1e-5
_OPSET = 18
_BATCH = 16_384  # rows scored at a time
_SAMPLES = 200  # of the bootstrap
_REFERENCE_ROWS = 100_000  # counted for it: a share is then known to 0.3 %
_FIRST_ROWS = 1_000  # of the validation part, where the example is chosen
_INPUTS = ["categorical", "numeric"]


class Answer(nn.Module):
    """The exported graph: raw values in, the task's answer out. ``temperature`` divides the logits."""

    def __init__(self, module: nn.Module, task: TaskName = "binary", temperature: float = 1.0) -> None:
        super().__init__()
        self.module, self.task, self.temperature = module, task, temperature

    def forward(self, categorical: Tensor, numeric: Tensor) -> Tensor:
        found: Tensor = self.module(categorical, numeric)
        if self.temperature != 1:
            found = found / self.temperature
        if self.task == "binary":
            return torch.sigmoid(found)
        return torch.softmax(found, dim=1) if self.task == "multiclass" else found


def export(context: Context, manifest: Manifest, model: Model, validation: Loader, uri: str) -> Bundle:
    """Write the bundle of a trained model to ``uri``, ``bundle.json`` last.

    The graph is scored as every later step will score it, so the metrics are those of the file that serves.
    Errors: RunError when the graph does not compute what the module computes.
    """
    asked, task = Uncertainty.of(context.job), tasks.of(model.task)
    temperature = _temperature(asked, model, validation)
    module = Answer(model.module.cpu(), model.task, temperature).eval()
    with TemporaryDirectory(prefix="seatrial-bundle-") as folder:
        files = {
            bundles.MODEL: to_onnx(module, validation.width, len(model.numeric), task.output),
            bundles.VOCABULARY: json.dumps(dict(model.vocabularies), ensure_ascii=False, indent=1).encode(),
            **_tokens(model),
            bundles.EXAMPLE: json.dumps(example(context, manifest, model), indent=1).encode(),
            bundles.MLMODEL: mlmodel(),
        }
        draft = _describe(context.job, manifest, model, files).model_copy(update={"temperature": temperature, "costs": asked.costs})
        for name, content in files.items():
            storage.write_bytes(str(Path(folder) / name), content)
        bundles.publish(Path(folder), draft)
        labels, scores = _score(Scorer(folder), module, validation)
    files[REFERENCE] = reference_of(context, manifest, draft, task.headline(scores))
    threshold = asked.threshold(labels, scores) if model.task == "binary" else 0.0
    measured = task.bootstrap(labels, scores, threshold=threshold, samples=_SAMPLES)
    found = {"threshold": threshold, "intervals": asked.interval(labels, scores), "metrics": measured}
    bundle = draft.model_copy(update={**found, "files": _hashes(files)})
    for name, content in files.items():
        storage.write_bytes(storage.join(uri, name), content)
    storage.write_bytes(storage.join(uri, bundles.BUNDLE), bundle.model_dump_json(indent=1).encode())
    return bundle


def to_onnx(module: nn.Module, categorical: int, numeric: int, output: str = "probability") -> bytes:
    """The module as one ONNX file with a free number of rows, weights inside.

    By tracing: these graphs have no control flow, and tracing takes 0.4 s where ``dynamo=True`` takes 7 s.
    """
    sample = (torch.zeros(2, categorical, dtype=torch.int64), torch.zeros(2, numeric))
    rows = {name: {0: "n"} for name in [*_INPUTS, output]}
    stream = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch prefers the slow one
        torch.onnx.export(module, sample, stream, dynamo=False, opset_version=_OPSET, input_names=_INPUTS, output_names=[output], dynamic_axes=rows)  # type: ignore[arg-type]
    return stream.getvalue()


def example(context: Context, manifest: Manifest, model: Model) -> dict[str, Any]:
    """The most complete of the first validation rows, as a client would send it."""
    uri = next(iter(context.inputs.values()))
    table: pa.Table = datasets.open_part(uri, manifest, "validation").head(_FIRST_ROWS, columns=[*model.categorical, *model.texts, *model.numeric])
    nulls = np.sum([column.is_null().to_numpy() for column in table.columns], axis=0)
    return dict(table.slice(int(np.argmin(nulls)), 1).to_pylist()[0])


def _tokens(model: Model) -> dict[str, bytes]:
    """The tokenizers' file, where there are any."""
    found = {name: {"length": text.length, "tokens": list(text.tokens)} for name, text in model.texts.items()}
    return {bundles.TOKENS: json.dumps(found, ensure_ascii=False, indent=1).encode()} if found else {}


def mlmodel() -> bytes:
    """MLflow's description of the model as its onnx flavour (a JSON text is a YAML text)."""
    onnx = {"code": None, "data": bundles.MODEL, "providers": ["CPUExecutionProvider"]}
    function = {"loader_module": "mlflow.onnx", "data": bundles.MODEL, "python_version": platform.python_version()}
    return json.dumps({"flavors": {"onnx": onnx, "python_function": function}}, indent=1).encode()


def reference_of(context: Context, manifest: Manifest, draft: Bundle, scores: NDArray[np.float32]) -> bytes:
    """What live traffic is compared with: the train part's columns, in an even sample of its rows, and the scores of the validation part."""
    uri = next(iter(context.inputs.values()))
    table = datasets.read_part(uri, manifest, "train", [each.name for each in draft.inputs])
    if table.num_rows > _REFERENCE_ROWS:
        table = table.take(np.linspace(0, table.num_rows - 1, _REFERENCE_ROWS).astype(np.int64))
    return histograms.reference(draft.inputs, dict(zip(table.column_names, table.columns, strict=True)), scores).model_dump_json().encode()


def _hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def _describe(job: Job, manifest: Manifest, model: Model, files: Mapping[str, bytes]) -> Bundle:
    columns = {column.name: column for column in manifest.features}
    inputs = [columns[name] for name in (*model.categorical, *model.texts, *model.numeric)]
    return Bundle(
        name=model.name,
        task=model.task,
        classes=model.classes,
        inputs=tuple(_input(column) for column in inputs),
        output=_output(model, manifest.label),
        threshold=0.5,
        metrics={},
        dataset=manifest.fingerprint,
        run=job.run,
        spec=job.model_dump(mode="json", include={"kind", "entry", "params", "resources", "checkpoint", "retries"}),
        files=_hashes(files),
        recorded={
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "host": platform.node(),
            "time": round(time.time()),
        },
    )


def _input(column: Column) -> InputField:
    kind: Literal["number", "category", "text"] = "text" if column.text else "category" if is_text(column) else "number"
    return InputField(name=column.name, kind=kind, unit=column.unit, description=column.description, private=column.private)


def _output(model: Model, label: Column) -> str:
    what = label.description or label.name
    if model.task == "binary":
        return f"probability of: {what}"
    if model.task == "multiclass":
        return f"probability of each class: {what}"
    return f"value of: {what}" + (f" ({label.unit})" if label.unit else "")


@torch.inference_mode()
def _temperature(asked: Uncertainty, model: Model, validation: Loader) -> float:
    """Fitted on the logits of the validation part; 1 where none is asked for."""
    if asked.calibrate == "none":
        return 1.0
    module = model.module.cpu().eval()
    batches = [(module(rows.categorical.long(), rows.numeric).numpy(), rows.labels.numpy()) for rows in validation.in_order(_BATCH)]
    return calibration.fitted(np.concatenate([logits for logits, _ in batches]), np.concatenate([labels for _, labels in batches]))


def _score(scorer: Scorer, module: nn.Module, validation: Loader) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(labels, answers) of the validation part by the exported graph, compared with the module on the way."""
    labels: list[NDArray[np.float32]] = []
    scores: list[NDArray[np.float32]] = []
    for rows in validation.in_order(_BATCH):
        scored = scorer.score_tensors(rows.categorical.long().numpy(), rows.numeric.numpy())
        if not scores:
            _compare(module, rows, scored)
        labels.append(rows.labels.numpy())
        scores.append(scored)
    return np.concatenate(labels), np.concatenate(scores)


@torch.inference_mode()
def _compare(module: nn.Module, rows: Rows, scored: NDArray[np.float32]) -> None:
    refuse_if_different(module(rows.categorical.long(), rows.numeric).numpy(), scored)


def refuse_if_different(module: NDArray[np.float32], graph: NDArray[np.float32]) -> None:
    """Answers of both to the same rows. Errors: RunError above the tolerance."""
    difference = float(np.abs(module - graph).max() / max(1.0, np.abs(graph).max()))
    if not difference <= TOLERANCE:  # also when it is not a number
        raise RunError(
            f"the exported graph differs from the module by {difference:.2e}",
            where=bundles.MODEL,
            hint="look for control flow that depends on values: it is not exported",
        )

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
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from jobs.contracts import bundle as bundles
from jobs.contracts import dataset as datasets
from jobs.contracts import storage
from jobs.contracts.bundle import Bundle, InputField
from jobs.contracts.dataset import Manifest, is_text
from jobs.contracts.errors import RunError
from jobs.contracts.job import Context, Job
from jobs.contracts.workload import Model
from jobs.scoring.scorer import Scorer
from jobs.steps import metrics
from jobs.steps.loader import Loader, Rows

TOLERANCE = 1e-5  # largest accepted difference between torch's probability and ONNX Runtime's
_OPSET = 18
_BATCH = 16_384  # rows scored at a time
_SAMPLES = 200  # of the bootstrap
_FIRST_ROWS = 1_000  # of the validation part, where the example is chosen
_INPUTS, _OUTPUTS = ["categorical", "numeric"], ["probability"]


class Probability(nn.Module):
    """The exported graph: raw values in, probability out."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, categorical: Tensor, numeric: Tensor) -> Tensor:
        return torch.sigmoid(self.module(categorical, numeric))


def export(context: Context, manifest: Manifest, model: Model, validation: Loader, uri: str) -> Bundle:
    """Write the bundle of a trained model to ``uri``, ``bundle.json`` last.

    The graph is scored as every later step will score it, so the metrics are those of the file that serves.
    Errors: RunError when the graph does not compute what the module computes.
    """
    module = Probability(model.module.cpu()).eval()
    with TemporaryDirectory(prefix="seatrial-bundle-") as folder:
        files = {
            bundles.MODEL: to_onnx(module, len(model.categorical), len(model.numeric)),
            bundles.VOCABULARY: json.dumps(dict(model.vocabularies), ensure_ascii=False, indent=1).encode(),
            bundles.EXAMPLE: json.dumps(example(context, manifest, model), indent=1).encode(),
            bundles.MLMODEL: mlmodel(),
        }
        draft = _describe(context.job, manifest, model, files)
        for name, content in files.items():
            storage.write_bytes(str(Path(folder) / name), content)
        bundles.publish(Path(folder), draft)
        labels, scores = _score(Scorer(folder), module, validation)
    threshold = metrics.best_f1_threshold(labels, scores)
    bundle = draft.model_copy(update={"threshold": threshold, "metrics": metrics.bootstrap(labels, scores, threshold=threshold, samples=_SAMPLES)})
    for name, content in files.items():
        storage.write_bytes(storage.join(uri, name), content)
    storage.write_bytes(storage.join(uri, bundles.BUNDLE), bundle.model_dump_json(indent=1).encode())
    return bundle


def to_onnx(module: nn.Module, categorical: int, numeric: int) -> bytes:
    """The module as one ONNX file with a free number of rows, weights inside.

    By tracing: these graphs have no control flow, and tracing takes 0.4 s where ``dynamo=True`` takes 7 s.
    """
    sample = (torch.zeros(2, categorical, dtype=torch.int64), torch.zeros(2, numeric))
    rows = {name: {0: "n"} for name in _INPUTS + _OUTPUTS}
    stream = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch prefers the slow one
        torch.onnx.export(module, sample, stream, dynamo=False, opset_version=_OPSET, input_names=_INPUTS, output_names=_OUTPUTS, dynamic_axes=rows)  # type: ignore[arg-type]
    return stream.getvalue()


def example(context: Context, manifest: Manifest, model: Model) -> dict[str, Any]:
    """The most complete of the first validation rows, as a client would send it."""
    uri = next(iter(context.inputs.values()))
    table: pa.Table = datasets.open_part(uri, manifest, "validation").head(_FIRST_ROWS, columns=[*model.categorical, *model.numeric])
    nulls = np.sum([column.is_null().to_numpy() for column in table.columns], axis=0)
    return dict(table.slice(int(np.argmin(nulls)), 1).to_pylist()[0])


def mlmodel() -> bytes:
    """MLflow's description of the model as its onnx flavour (a JSON text is a YAML text)."""
    onnx = {"code": None, "data": bundles.MODEL, "providers": ["CPUExecutionProvider"]}
    function = {"loader_module": "mlflow.onnx", "data": bundles.MODEL, "python_version": platform.python_version()}
    return json.dumps({"flavors": {"onnx": onnx, "python_function": function}}, indent=1).encode()


def _describe(job: Job, manifest: Manifest, model: Model, files: Mapping[str, bytes]) -> Bundle:
    columns = {column.name: column for column in manifest.features}
    inputs = [columns[name] for name in (*model.categorical, *model.numeric)]
    return Bundle(
        name=model.name,
        inputs=tuple(InputField(name=c.name, kind="category" if is_text(c) else "number", unit=c.unit, description=c.description) for c in inputs),
        output=f"probability of: {manifest.label.description or manifest.label.name}",
        threshold=0.5,
        metrics={},
        dataset=manifest.fingerprint,
        run=job.run,
        spec=job.model_dump(mode="json", include={"kind", "entry", "params", "resources", "checkpoint", "retries"}),
        files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        recorded={
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "host": platform.node(),
            "time": round(time.time()),
        },
    )


def _score(scorer: Scorer, module: nn.Module, validation: Loader) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(labels, probabilities) of the validation part by the exported graph, compared with the module on the way."""
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
    difference = float(np.abs(module(rows.categorical.long(), rows.numeric).numpy() - scored).max())
    if not difference <= TOLERANCE:  # also when it is not a number
        raise RunError(
            f"the exported graph differs from the module by {difference:.2e}",
            where=bundles.MODEL,
            hint="look for control flow that depends on values: it is not exported",
        )

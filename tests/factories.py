"""A tiny workload as published files, made without any engine: for tests of what reads datasets and bundles.

Is a parcel late? It depends on its colour, size and weight, in a logistic model whose coefficients are known, so the
bundle made here is the truth (``skill=1``) or a weaker model: ``skill`` scales what size and weight count (0 = colour alone).
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from onnx import TensorProto, helper

from jobs.contracts import bundle as bundles
from jobs.contracts import dataset as datasets
from jobs.contracts import fingerprint, storage
from jobs.contracts.bundle import Bundle, InputField
from jobs.contracts.dataset import Column, DataFile, Manifest, Role, Split, Statistics
from jobs.contracts.reference import REFERENCE
from jobs.scoring import histograms, metrics

COLORS = ["black", "blue", "green", "red"]
_EFFECTS = np.array([0.0, -0.8, -0.3, 0.2, 1.1], np.float32)  # of "unknown or null", then of COLORS in order
_CENTRE, _SCALE = np.array([10.0, 3.0], np.float32), np.array([4.0, 1.0], np.float32)  # of size and weight
_SLOPES, _BIAS = np.array([0.9, -0.7], np.float32), np.float32(-0.8)
_SHARES = {"train": 0.6, "validation": 0.15, "test": 0.25}
_START = datetime(2024, 1, 1, tzinfo=UTC)

COLUMNS = (
    Column(name="row_id", type="int64", role=Role.KEY),
    Column(name="moment", type="timestamp[us, tz=UTC]", role=Role.TIME),
    Column(name="color", type="string", role=Role.FEATURE, description="colour of the wrapping"),
    Column(name="size", type="double", role=Role.FEATURE, unit="cm", description="longest side"),
    Column(name="weight", type="double", role=Role.FEATURE, unit="kg", description="as weighed at the counter"),
    Column(name="late", type="int64", role=Role.LABEL, description="arrived after the promised day"),
    Column(name="fold", type="int64", role=Role.FOLD),
)


def make_rows(rows: int = 2000, seed: int = 0) -> pa.Table:
    """Parcels of the year 2024 in order of time; one in twenty has no colour, no size or no weight."""
    random = np.random.default_rng(seed)
    moments = [_START + timedelta(seconds=float(second)) for second in np.sort(random.uniform(0, 365 * 86_400, rows))]
    absent = random.random((3, rows)) < 0.05
    table = pa.table(
        {
            "row_id": pa.array(np.arange(rows)),
            "moment": pa.array(moments, pa.timestamp("us", "UTC")),
            "color": pa.array(random.choice(COLORS, rows), mask=absent[0]),
            "size": pa.array(random.normal(10, 4, rows), mask=absent[1]),
            "weight": pa.array(random.normal(3, 1, rows), mask=absent[2]),
        }
    )
    late = random.random(rows) < probability(table)
    return table.append_column("late", pa.array(late.astype(np.int64))).append_column("fold", pa.array(np.arange(rows) % 5))


def probability(table: pa.Table, skill: float = 1.0) -> NDArray[np.float32]:
    """What the model of :func:`make_bundle` must answer for these rows, in numpy; float32 [n]."""
    found = pc.add(pc.fill_null(pc.index_in(table["color"], pa.array(COLORS)), -1), 1).to_numpy()
    numbers = np.stack([table[name].cast(pa.float64()).to_numpy() for name in ("size", "weight")], axis=1).astype(np.float32)
    scaled = np.where(np.isnan(numbers), 0, (numbers - _CENTRE) / _SCALE)
    logits = _BIAS + _EFFECTS[found] + scaled @ (skill * _SLOPES)
    return (1 / (1 + np.exp(-logits))).astype(np.float32)


def make_dataset(folder: Path, rows: int = 2000, seed: int = 0) -> Manifest:
    """Publish :func:`make_rows` as a dataset in ``folder``: by time 60 % train, 15 % validation, 25 % test."""
    table, parts, start = make_rows(rows, seed), {}, 0
    for part, share in _SHARES.items():
        parts[part] = table.slice(start, round(rows * share))
        start += len(parts[part])
    files = tuple(_write(folder, part, rows_of_part) for part, rows_of_part in parts.items())
    manifest = Manifest(
        name="parcels",
        fingerprint=fingerprint.of({"rows": rows, "seed": seed}),
        columns=tuple(column.model_copy(update={"statistics": _statistics(parts["train"][column.name])}) for column in COLUMNS),
        files=files,
        split=Split(
            method="time", boundaries={part: str(parts[part]["moment"][0].as_py()) for part in parts}, rows={part: len(parts[part]) for part in parts}, folds=5
        ),
        inputs={"parcels.csv": hashlib.sha256(str(seed).encode()).hexdigest()},
        rejected={"no_label": 12, "not_double:weight": 3},
        recorded={"engine": "none"},
    )
    datasets.publish_manifest(str(folder), manifest)
    return manifest


def make_bundle(folder: Path, dataset: Path, *, skill: float = 1.0, name: str = "parcels", run: str = "test-run") -> Bundle:
    """Publish a bundle in ``folder`` whose ONNX graph computes :func:`probability`, threshold and metrics from validation."""
    manifest = datasets.load_manifest(str(dataset))
    validation = datasets.read_part(str(dataset), manifest, "validation")
    labels, scores = validation["late"].to_numpy(), probability(validation, skill)
    threshold = metrics.best_f1_threshold(labels, scores)
    example = {name: validation[name][0].as_py() for name in ("color", "size", "weight")}
    contents = {
        bundles.MODEL: make_model(skill).SerializeToString(),
        bundles.VOCABULARY: json.dumps({"color": COLORS}).encode(),
        bundles.EXAMPLE: json.dumps(example).encode(),
        REFERENCE: _reference(dataset, manifest, scores),
        bundles.MLMODEL: b"flavors:\n  onnx:\n    data: model.onnx\n",
    }
    for file, content in contents.items():
        storage.write_bytes(str(folder / file), content)
    bundle = Bundle(
        name=name,
        inputs=tuple(_input(column) for column in manifest.features),
        output="chance that the parcel is late",
        threshold=threshold,
        metrics=metrics.bootstrap(labels, scores, threshold=threshold, samples=20),
        dataset=manifest.fingerprint,
        run=run,
        spec={"kind": "train", "params": {"skill": skill}},
        files={file: hashlib.sha256(content).hexdigest() for file, content in contents.items()},
        recorded={"onnx": onnx.__version__},
    )
    bundles.publish(folder, bundle)
    return bundle


def _reference(dataset: Path, manifest: Manifest, scores: NDArray[np.float32]) -> bytes:
    train = datasets.read_part(str(dataset), manifest, "train")
    columns = dict(zip(train.column_names, train.columns, strict=True))
    return histograms.reference([_input(column) for column in manifest.features], columns, scores).model_dump_json().encode()


def make_model(skill: float = 1.0) -> onnx.ModelProto:
    """Logistic regression with a missing number counted as average and an unknown colour as index 0."""
    tables: dict[str, Any] = {
        "effects": _EFFECTS,
        "centre": _CENTRE,
        "scale": _SCALE,
        "slopes": skill * _SLOPES[:, None],
        "bias": _BIAS,
        "zero": np.float32(0),
        "one": np.array([1]),
    }
    nodes = [
        helper.make_node("Sub", ["numeric", "centre"], ["moved"]),
        helper.make_node("Div", ["moved", "scale"], ["scaled"]),
        helper.make_node("IsNaN", ["scaled"], ["absent"]),
        helper.make_node("Where", ["absent", "zero", "scaled"], ["known"]),
        helper.make_node("MatMul", ["known", "slopes"], ["slope"]),
        helper.make_node("Gather", ["effects", "categorical"], ["effect"]),
        helper.make_node("Add", ["slope", "effect"], ["sum"]),
        helper.make_node("Add", ["sum", "bias"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["column"]),
        helper.make_node("Squeeze", ["column", "one"], ["probability"]),
    ]
    inputs = [
        helper.make_tensor_value_info("categorical", TensorProto.INT64, ["n", 1]),
        helper.make_tensor_value_info("numeric", TensorProto.FLOAT, ["n", 2]),
    ]
    output = helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["n"])
    constants = [onnx.numpy_helper.from_array(np.asarray(value, None if name == "one" else np.float32), name) for name, value in tables.items()]
    model = helper.make_model(helper.make_graph(nodes, "parcels", inputs, [output], constants), opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def _write(folder: Path, part: str, table: pa.Table) -> DataFile:
    path = folder / part / "part-0.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return DataFile(path=f"{part}/part-0.parquet", part=part, rows=len(table), bytes=path.stat().st_size, sha256=storage.sha256(str(path)))


def _statistics(column: pa.ChunkedArray) -> Statistics | None:
    if pa.types.is_timestamp(column.type):
        return None
    if pa.types.is_string(column.type):
        counts = {entry["values"]: entry["counts"] for entry in column.value_counts().to_pylist() if entry["values"] is not None}
        return Statistics(count=len(column), nulls=column.null_count, categories=dict(sorted(counts.items())))
    values = column.drop_null().to_numpy()
    quantiles = {str(share): float(np.quantile(values, share)) for share in (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)}
    return Statistics(
        count=len(column), nulls=column.null_count, mean=values.mean(), std=values.std(ddof=1), min=values.min(), max=values.max(), quantiles=quantiles
    )


def _input(column: Column) -> InputField:
    kind = "category" if datasets.is_text(column) else "number"
    return InputField(name=column.name, kind=kind, unit=column.unit, description=column.description, private=column.private)  # type: ignore[arg-type]

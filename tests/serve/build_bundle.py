"""A small real bundle: logistic regression over two numbers and one category, exported as ONNX."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from jobs.contracts import bundle as bundles
from jobs.contracts.bundle import Bundle, InputField, Interval

INPUTS = (
    InputField(name="distance", kind="number", unit="miles", description="great circle"),
    InputField(name="carrier", kind="category", description="airline code"),
    InputField(name="wind speed", kind="number", unit="mph"),
)
EXAMPLE = {"distance": 1400, "carrier": "UA", "wind speed": None}
VOCABULARY = {"carrier": ["AA", "UA", "ÉT"]}


def make_bundle(folder: Path, *, bias: float = 0.0, name: str = "flights", metadata: str = "") -> Path:
    """``bias`` makes bundles whose answers differ."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(_model(bias), folder / bundles.MODEL)
    (folder / bundles.VOCABULARY).write_text(json.dumps(VOCABULARY))
    (folder / bundles.EXAMPLE).write_text(json.dumps(EXAMPLE))
    (folder / bundles.MLMODEL).write_text(f"flavors: {{onnx: {{data: model.onnx}}}} {metadata}")
    files = {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in folder.iterdir() if each.name != bundles.BUNDLE}
    metrics = {"roc_auc": Interval(value=0.7, low=0.6, high=0.8)}
    bundles.publish(folder, Bundle(name=name, inputs=INPUTS, output="late", threshold=0.5, metrics=metrics, dataset="d" * 64, run="r", spec={}, files=files))
    return folder


def _model(bias: float) -> onnx.ModelProto:
    weights = {
        "w": np.array([[1e-3], [-5e-2]], np.float32),
        "zero": np.array(0.0, np.float32),
        "effect": np.array([0.1, -0.4, 0.9, 0.3], np.float32).reshape(-1, 1),
        "bias": np.array(bias, np.float32),
        "last": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("IsNaN", ["numeric"], ["unknown"]),
        helper.make_node("Where", ["unknown", "zero", "numeric"], ["filled"]),
        helper.make_node("MatMul", ["filled", "w"], ["linear"]),
        helper.make_node("GatherND", ["effect", "categorical"], ["shift"]),
        helper.make_node("Add", ["linear", "shift"], ["sum"]),
        helper.make_node("Add", ["sum", "bias"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["column"]),
        helper.make_node("Squeeze", ["column", "last"], ["probability"]),
    ]
    inputs = [helper.make_tensor_value_info("categorical", TensorProto.INT64, ["n", 1]), helper.make_tensor_value_info("numeric", TensorProto.FLOAT, ["n", 2])]
    outputs = [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["n"])]
    graph = helper.make_graph(nodes, "logistic", inputs, outputs, [numpy_helper.from_array(value, key) for key, value in weights.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)

"""A bundle's model as one would use it by hand: a pydantic type validates, dictionaries find the categories, one session scores.

Needs numpy, onnxruntime and pydantic alone, so that it also runs in a framework's own environment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from pydantic import BaseModel, ConfigDict, create_model


class RowModel:
    def __init__(self, bundle: str) -> None:
        folder = Path(bundle)
        described = json.loads((folder / "bundle.json").read_bytes())
        vocabularies = json.loads((folder / "vocab.json").read_bytes())
        self._tables = {name: {value: place for place, value in enumerate(values, 1)} for name, values in vocabularies.items()}
        self._texts = [each["name"] for each in described["inputs"] if each["kind"] == "category"]
        self._numbers = [each["name"] for each in described["inputs"] if each["kind"] == "number"]
        self._threshold = described["threshold"]
        fields: dict[str, Any] = dict.fromkeys(self._texts, (str | None, ...)) | dict.fromkeys(self._numbers, (float | None, ...))
        self.row_type: type[BaseModel] = create_model("Row", __config__=ConfigDict(extra="forbid"), **fields)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])

    def predict(self, row: BaseModel) -> dict[str, Any]:
        """The answer to one row of :attr:`row_type`, as Seatrial's ``/predict`` gives it."""
        categorical = np.array([[self._tables[name].get(getattr(row, name), 0) for name in self._texts]], np.int64)
        numeric = np.array([[getattr(row, name) for name in self._numbers]], np.float64).astype(np.float32)
        probability = float(self._score(categorical, numeric)[0])
        return {"predictions": [{"probability": probability, "label": int(probability >= self._threshold)}]}

    def probabilities(self, columns: Mapping[str, Sequence[Any]]) -> np.ndarray[Any, Any]:
        """Probabilities [n] of n rows in columns."""
        categorical = np.array([[self._tables[name].get(value, 0) for value in columns[name]] for name in self._texts], np.int64).T
        numeric = np.array([columns[name] for name in self._numbers], np.float64).astype(np.float32).T
        return self._score(categorical, numeric)

    def _score(self, categorical: np.ndarray[Any, Any], numeric: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        found: np.ndarray[Any, Any] = self._session.run(["probability"], {"categorical": categorical, "numeric": numeric})[0]
        return found

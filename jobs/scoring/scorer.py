"""A bundle opened for scoring."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.contracts import bundle as bundles
from jobs.contracts import storage
from jobs.contracts.bundle import Bundle
from jobs.contracts.errors import missing_extra
from jobs.scoring import tasks
from jobs.scoring.encode import Columns, Encoder
from jobs.scoring.words import Tokenizer

TEXTS = 256  # rows with free text that are scored at a time: what a model makes of their words takes memory


class Scorer:
    """Opens a verified bundle once; :meth:`score` is safe from several threads.

    ``threads`` is ONNX Runtime's intra-op pool: 1 in a server, where parallelism comes from requests.
    """

    def __init__(self, uri: str, *, threads: int = 1) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise missing_extra("onnxruntime", "scoring") from error
        self.bundle = bundles.load(uri)
        self.fingerprint = self.bundle.fingerprint
        vocabularies: dict[str, list[str]] = json.loads(storage.read_bytes(storage.join(uri, bundles.VOCABULARY)))
        self.encoder = Encoder(self.bundle.inputs_of("category"), self.bundle.inputs_of("number"), vocabularies, _tokenizers(uri, self.bundle))
        self.task = tasks.of(self.bundle.task)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(storage.read_bytes(storage.join(uri, bundles.MODEL)), options, providers=["CPUExecutionProvider"])
        self._reads = [each.name for each in self._session.get_inputs()]  # a model of numbers alone has lost the other one in its export

    def score_tensors(self, categorical: NDArray[np.int64], numeric: NDArray[np.float32]) -> NDArray[np.float32]:
        """int64 [n, C] and float32 [n, N] to the task's answers: probabilities float32 [n], of classes [n, K], or values [n]."""
        if self.encoder.texts and len(categorical) > TEXTS:
            parts = range(0, len(categorical), TEXTS)
            return np.concatenate([self.score_tensors(categorical[start : start + TEXTS], numeric[start : start + TEXTS]) for start in parts])
        given = {"categorical": categorical, "numeric": numeric}
        return self._session.run([self.task.output], {name: given[name] for name in self._reads})[0]  # type: ignore[no-any-return]

    def score(self, columns: pa.Table | Columns, rows: int | None = None) -> NDArray[np.float32]:
        """Raw feature columns (a table, or name -> Arrow array) to answers, as :meth:`score_tensors`."""
        if isinstance(columns, pa.Table):
            rows = columns.num_rows
            columns = dict(zip(columns.column_names, columns.columns, strict=True))
        if rows is None:
            raise ValueError("rows is needed for a mapping of columns")
        if rows == 0:
            return np.empty((0, len(self.bundle.classes)) if self.bundle.classes else 0, np.float32)
        return self.score_tensors(*self.encoder.encode(columns, rows))


def _tokenizers(uri: str, bundle: Bundle) -> dict[str, Tokenizer]:
    if not (names := bundle.inputs_of("text")):
        return {}
    found = json.loads(storage.read_bytes(storage.join(uri, bundles.TOKENS)))
    return {name: Tokenizer(found[name]["length"], found[name]["tokens"]) for name in names}

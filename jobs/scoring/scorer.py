"""A bundle opened for scoring."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.contracts import bundle as bundles
from jobs.contracts import storage
from jobs.contracts.errors import missing_extra
from jobs.scoring.encode import Columns, Encoder


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
        self.encoder = Encoder(self.bundle.inputs_of("category"), self.bundle.inputs_of("number"), vocabularies)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(storage.read_bytes(storage.join(uri, bundles.MODEL)), options, providers=["CPUExecutionProvider"])

    def score_tensors(self, categorical: NDArray[np.int64], numeric: NDArray[np.float32]) -> NDArray[np.float32]:
        """int64 [n, C] and float32 [n, N] to probabilities float32 [n]."""
        return self._session.run(["probability"], {"categorical": categorical, "numeric": numeric})[0]  # type: ignore[no-any-return]

    def score(self, columns: pa.Table | Columns, rows: int | None = None) -> NDArray[np.float32]:
        """Raw feature columns (a table, or name -> Arrow array) to probabilities float32 [n]."""
        if isinstance(columns, pa.Table):
            rows = columns.num_rows
            columns = dict(zip(columns.column_names, columns.columns, strict=True))
        if rows is None:
            raise ValueError("rows is needed for a mapping of columns")
        if rows == 0:
            return np.empty(0, np.float32)
        return self.score_tensors(*self.encoder.encode(columns, rows))

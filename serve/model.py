"""One loaded model version, ready to answer: its bundle, scorer, example row and row reader."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from jobs.contracts import bundle as bundles
from jobs.contracts import reference as references
from jobs.contracts import storage
from jobs.contracts.errors import IntegrityError
from jobs.control import artefacts
from jobs.scoring.scorer import Scorer
from serve.answers import Headers, Refused
from serve.rows import Row, RowColumns, RowReader
from serve.usual import usual_values

if TYPE_CHECKING:
    from jobs.control.registry_reader import ModelVersion

_TRIAL_ROWS = 16  # for what a batch saves
_ROUNDS = 8  # the fastest counts


@dataclass(frozen=True, slots=True)
class Tensors:
    """Rows ready for the model, and what they were made of."""

    categorical: NDArray[np.int64]  # [rows, C]
    numeric: NDArray[np.float32]  # [rows, N]
    columns: Mapping[str, Any]  # raw values by name

    @property
    def rows(self) -> int:
        return len(self.categorical)


class LoadedModel:
    """A verified and warm version. Immutable, so that a request uses one version from its first byte to its last.

    Errors: IntegrityError when the bundle's files, fingerprint or example row are not what they should be.
    """

    def __init__(self, version: ModelVersion) -> None:
        self.name, self.version, self.uri = version.name, version.version, version.uri
        self._folder = artefacts.fetch(version)
        self.scorer = Scorer(self._folder)  # checks every file's SHA-256
        self.bundle, self.fingerprint = self.scorer.bundle, self.scorer.fingerprint
        if version.fingerprint and version.fingerprint != self.fingerprint:
            raise IntegrityError(
                f"the bundle is not the one registered as version {version.version}", where=version.uri, hint="register and promote the bundle again"
            )
        self.reference = references.load(self._folder)  # None for a bundle that has none
        self.example: dict[str, Any] = bundles.load_example(self._folder)
        self.reader = RowReader(self.bundle.inputs)
        self.usual: Row = usual_values(self.bundle.inputs, self.reference)
        self._rows = self.scorer.encoder.row_encoder(self.reader.names)
        self.headers: Headers = ((b"x-seatrial-bundle", self.fingerprint.encode()), (b"x-seatrial-model-version", self.version.encode()))
        self.row_seconds, self.batched_row_seconds = self._warm_up()

    def of_rows(self, rows: Sequence[Row]) -> Tensors:
        """Rows in schema order. Errors: Refused 400 for a number beyond float32."""
        with np.errstate(over="ignore"):  # found below, with the field's name
            return self._checked(*self._rows.encode(rows), RowColumns(self.reader.places, rows))

    def of_columns(self, columns: Mapping[str, Any], rows: int) -> Tensors:
        """Columns as :meth:`jobs.scoring.encode.Encoder.encode` takes them. Errors: as :meth:`of_rows`."""
        with np.errstate(over="ignore"):
            return self._checked(*self.scorer.encoder.encode(columns, rows), columns)

    def score(self, tensors: Tensors) -> NDArray[np.float32]:
        """Probabilities (of several classes [rows, K]) or values, float32 [rows]. Errors: Refused 422 where the model gives no number."""
        if not tensors.rows:
            return np.empty((0, len(self.bundle.classes)) if self.bundle.classes else 0, np.float32)
        return self.check(self.scorer.score_tensors(tensors.categorical, tensors.numeric))

    def headline(self, answers: NDArray[np.float32]) -> NDArray[np.float32]:
        """One number per row, for metrics and logs: of several classes the likeliest one's probability."""
        return self.scorer.task.headline(answers)

    def check(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Errors: Refused 422 for one that is no number."""
        if not np.isfinite(probabilities).all():
            raise Refused(422, f"the model gives no number for row {int(np.argwhere(~np.isfinite(probabilities))[0, 0])}")
        return probabilities

    def _checked(self, categorical: NDArray[np.int64], numeric: NDArray[np.float32], columns: Mapping[str, Any]) -> Tensors:
        if np.isinf(numeric).any():
            row, column = np.argwhere(np.isinf(numeric))[0]
            raise Refused(400, f"field {self.scorer.encoder.numeric[column]!r}, row {row}: a number must lie within ±3.4e38")
        return Tensors(categorical, numeric, columns)

    def _warm_up(self) -> tuple[float, float]:
        """Score the example, and the edges of the input space: a defect must show now and not in a client's request.

        Seconds that a row costs alone, and as one of a batch.
        """
        try:
            rows = [self.reader.read(msgspec.json.encode(self.example))[0], self._unknown(), self._last_known()]
            self.score(self.of_rows(rows * 20))
            self.score(self.of_columns(RowColumns(self.reader.places, rows), len(rows)))
            one, many = self.of_rows(rows[:1]), self.of_rows([rows[0]] * _TRIAL_ROWS)
            return self._fastest(one), self._fastest(many) / _TRIAL_ROWS
        except Exception as error:  # whatever ONNX Runtime or numpy has to say about a bundle that does not fit together
            raise IntegrityError(f"the model cannot score rows of its own schema: {error}", where=self.uri, hint="train again") from error

    def _fastest(self, tensors: Tensors) -> float:
        found = []
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            self.score(tensors)
            found.append(time.perf_counter() - started)
        return min(found)

    def _unknown(self) -> Row:
        return (None,) * len(self.reader.names)

    def _last_known(self) -> Row:
        """The highest index of every category: the model's tables must reach that far."""
        vocabularies: dict[str, list[str]] = json.loads(storage.read_bytes(storage.join(self._folder, bundles.VOCABULARY)))
        return tuple(values[-1] if (values := vocabularies.get(name)) else None for name in self.reader.names)

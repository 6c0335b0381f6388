"""One loaded model version, ready to answer: its bundle, scorer, example row and row reader."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.contracts import bundle as bundles
from jobs.contracts import storage
from jobs.contracts.errors import IntegrityError
from jobs.control import artefacts
from jobs.scoring.scorer import Scorer
from serve.answers import Headers, Refused
from serve.rows import RowReader

if TYPE_CHECKING:
    from jobs.control.registry_reader import ModelVersion


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
        self.example: dict[str, Any] = bundles.load_example(self._folder)
        self.reader = RowReader(self.bundle.inputs)
        self.headers: Headers = ((b"x-seatrial-bundle", self.fingerprint.encode()), (b"x-seatrial-model-version", self.version.encode()))
        self._warm_up()

    def score(self, columns: dict[str, pa.Array], rows: int) -> NDArray[np.float32]:
        """Raw feature columns to probabilities, float32 [rows].

        Errors: Refused 400 for a number beyond float32, 422 where the model gives no number.
        """
        if rows == 0:
            return np.empty(0, np.float32)
        with np.errstate(over="ignore"):  # found below, with the field's name
            categorical, numeric = self.scorer.encoder.encode(columns, rows)
        if np.isinf(numeric).any():
            row, column = np.argwhere(np.isinf(numeric))[0]
            raise Refused(400, f"field {self.scorer.encoder.numeric[column]!r}, row {row}: a number must lie within ±3.4e38")
        probabilities = self.scorer.score_tensors(categorical, numeric)
        if not np.isfinite(probabilities).all():
            raise Refused(422, f"the model gives no number for row {int(np.argmin(np.isfinite(probabilities)))}")
        return probabilities

    def _warm_up(self) -> None:
        """Score the example, and the edges of the input space: a defect must show now and not in a client's request."""
        try:
            rows = [self.example, self._unknown(), self._last_known()]
            self.score(self.reader.columns(rows[:1]), 1)
            self.score(self.reader.columns(rows * 20), 60)
        except Exception as error:  # whatever ONNX Runtime or Arrow has to say about a bundle that does not fit together
            raise IntegrityError(f"the model cannot score rows of its own schema: {error}", where=self.uri, hint="train again") from error

    def _unknown(self) -> dict[str, Any]:
        return dict.fromkeys(self.example)

    def _last_known(self) -> dict[str, Any]:
        """The highest index of every category: the model's tables must reach that far."""
        vocabularies: dict[str, list[str]] = json.loads(storage.read_bytes(storage.join(self._folder, bundles.VOCABULARY)))
        return self._unknown() | {name: values[-1] for name, values in vocabularies.items() if values}

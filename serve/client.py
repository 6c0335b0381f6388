"""A client of the serving application that insists on one model version."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.contracts.errors import RunError
from jobs.control.service_key import authorization
from serve import task_answers
from serve.inference_protocol import DATATYPES

_PAUSE = 0.05  # seconds between two looks
_REQUEST_TIMEOUT = 10  # seconds for one answer


class Endpoint:
    """One service and the version that must answer within ``timeout`` seconds from now.

    Replicas follow the alias one by one, so an answer of another version, or a 503, is asked for again until then.
    """

    def __init__(self, url: str, name: str, version: str, *, timeout: float) -> None:
        self.url, self.name, self.version = url, name, version
        self._timeout, self._deadline = timeout, time.monotonic() + timeout

    def wait(self) -> None:
        """Return once the version is live.

        Errors: RunError that says what the service answered last.
        """
        self._until_version(f"/v2/models/{self.name}", None)

    def infer(self, table: pa.Table) -> NDArray[np.float32]:
        """Columns of numbers (double) and texts to answers, through the Open Inference Protocol."""
        inputs = [
            {"name": name, "datatype": _datatype(table[name].type), "shape": [table.num_rows], "data": table[name].to_pylist()} for name in table.column_names
        ]
        answer = self._until_version(f"/v2/models/{self.name}/infer", {"inputs": inputs})
        (output,) = answer["outputs"]
        return np.array(output["data"], np.float32).reshape(output["shape"])

    def predict(self, rows: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> NDArray[np.float32]:
        """One row or many to answers, through ``/models/{name}/predict``: the short path is the first model's."""
        answer = self._until_version(f"/models/{self.name}/predict", rows)
        return task_answers.read(answer["predictions"])

    def _until_version(self, path: str, body: Any) -> dict[str, Any]:
        while True:
            status, version, answer = self._ask(path, body)
            if status == 200 and version == self.version:
                return answer
            if status in (401, 403):
                raise RunError("the service wants a key", where=self.url + path, hint="set SEATRIAL_SERVE_KEY, in a job file by `secrets:` of the deploy step")
            if 400 <= status < 500 and status != 429:
                raise RunError(
                    f"the service refused the request: {answer.get('error', status)}",
                    where=self.url + path,
                    hint="was the bundle trained on this dataset's columns?",
                )
            if time.monotonic() > self._deadline:
                said = answer.get("error") or self._problem() or f"version {version} answers"
                what = f"version {self.version} of {self.name} did not answer within {self._timeout:.0f} s; the last word was: {said}"
                raise RunError(what, where=self.url, hint="the replica's log, below session_latest/logs in Ray's folder, has more")
            time.sleep(_PAUSE)

    def _problem(self) -> str:
        """Why the service stays with an older version, as far as it says."""
        return str(self._ask("/v2/health/ready", None)[2].get("problem", ""))

    def _ask(self, path: str, body: Any) -> tuple[int, str, dict[str, Any]]:
        """(HTTP status, model version, JSON answer); status 0 while nothing answers."""
        data = None if body is None else msgspec.json.encode(body)
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json", **authorization()})
        try:
            with urllib.request.urlopen(request, timeout=_REQUEST_TIMEOUT) as answer:
                return answer.status, answer.headers.get("x-seatrial-model-version", ""), _json(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, "", _json(error.read())
        except OSError as error:
            return 0, "", {"error": str(error)}


def _datatype(kind: pa.DataType) -> str:
    return DATATYPES["number" if pa.types.is_floating(kind) else "category"]


def _json(text: bytes) -> dict[str, Any]:
    try:
        answer = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {"error": text[:200].decode("utf-8", "replace")}
    return answer if isinstance(answer, dict) else {"error": str(answer)[:200]}

"""A conformance suite for servers of tabular models: the Open Inference Protocol with binary tensors, and MLflow's scoring protocol.

Against a server of one's own (any that speaks the protocol; its model has one input tensor per column, [n] or [n, 1]):

    python -m pytest tests/serve/conformance --serve-url http://host:port --serve-model NAME

Without an address it runs against this repository's application behind uvicorn. The suite knows nothing of the model but what its metadata
say: numbers get small values, BYTES get short texts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.serve.conftest import Alias, Published, application

INTEGERS = ("INT", "UINT")


@dataclass(frozen=True)
class Server:
    url: str
    model: str
    metadata: dict[str, Any]
    http: httpx.Client

    @property
    def path(self) -> str:
        return f"/v2/models/{self.model}"

    def values(self, datatype: str, rows: int) -> list[Any]:
        """Of one column."""
        if datatype == "BYTES":
            return [f"t{row % 3}" for row in range(rows)]
        if datatype == "BOOL":
            return [row % 2 == 0 for row in range(rows)]
        return [row % 5 if datatype.startswith(INTEGERS) else row % 5 / 2 for row in range(rows)]

    def columns(self, rows: int) -> dict[str, list[Any]]:
        return {each["name"]: self.values(each["datatype"], rows) for each in self.metadata["inputs"]}

    def shape(self, tensor: dict[str, Any], rows: int) -> list[int]:
        return [rows] if len(tensor["shape"]) == 1 else [rows, 1]

    def request(self, rows: int) -> dict[str, Any]:
        columns = self.columns(rows)
        inputs = [
            {"name": each["name"], "datatype": each["datatype"], "shape": self.shape(each, rows), "data": columns[each["name"]]}
            for each in self.metadata["inputs"]
        ]
        return {"id": "conformance-1", "inputs": inputs}


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    if url := request.config.getoption("--serve-url"):
        yield from _met(url.rstrip("/"), request.config.getoption("--serve-model"))
    else:
        yield from _own(request.getfixturevalue("published"))


def _met(url: str, model: str) -> Iterator[Server]:
    with httpx.Client(base_url=url, timeout=30) as http:
        yield Server(url, model, http.get(f"/v2/models/{model}").raise_for_status().json(), http)


def _own(published: Published) -> Iterator[Server]:
    import uvicorn

    app = application(Alias(published.version(1)), poll_seconds=60)
    app.slot.refresh()
    running = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    try:
        yield from _met(f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}", "parcels")
    finally:
        running.should_exit = True
        thread.join()

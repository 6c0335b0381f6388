"""Serving frameworks around the same model, each as it comes and in an environment of its own: LitServe, BentoML, MLServer.

Their files are in ``benchmarks/frameworks``. An environment is made once, below ``dist/bench/environments``, from the package index.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import pyarrow as pa

from benchmarks.serving import json_columns
from benchmarks.serving_servers import REPOSITORY, Bench, Server, running, wait_for
from drills.sandbox import free_port

FILES = REPOSITORY / "benchmarks" / "frameworks"
ENVIRONMENTS = REPOSITORY / "dist" / "bench" / "environments"
MLSERVER = "rows"  # the model's name there
_MLSERVER_BESIDE = ("uvloop<0.22",)  # its workers ask for a loop that newer ones do not make


@dataclass(frozen=True)
class Framework:
    title: str
    package: str
    start: Callable[[Bench, str], AbstractContextManager[Server]]
    """With the environment's Python."""
    row: Callable[[Bench], bytes]
    """The request for one row, as the framework takes it."""
    columns: Callable[[pa.Table], bytes] | None = None
    """The request for many, where it has a form for them."""
    beside: tuple[str, ...] = ()
    """Requirements that the package's own lack."""


def python_of(framework: Framework) -> str:
    """The Python of the framework's environment, which is made when it is missing.

    Errors: SystemExit where the package cannot be installed.
    """
    package, folder = framework.package, ENVIRONMENTS / framework.package
    python, whole = folder / "bin" / "python", folder / "whole"
    if not whole.exists():
        uv = [sys.executable, "-m", "uv"]
        for argv in (
            [*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
            [*uv, "pip", "install", "--quiet", "--python", str(python), package, "onnxruntime", "numpy", "pydantic", *framework.beside],
        ):
            if subprocess.run(argv, check=False).returncode:
                raise SystemExit(f"{package} could not be installed: is the package index within reach?")
        whole.touch()
    return str(python)


@contextmanager
def _litserve(bench: Bench, python: str) -> Iterator[Server]:
    port = free_port()
    with running(bench, "litserve", [python, str(FILES / "litserve_server.py"), bench.bundle, str(port)]) as process:
        url = wait_for(port, "/health")
        yield Server("litserve", url, lambda: [process, *process.children(recursive=True)])


@contextmanager
def _bentoml(bench: Bench, python: str) -> Iterator[Server]:
    port = free_port()
    argv = [python, "-m", "bentoml", "serve", "bentoml_server:Rows", "--working-dir", str(FILES), "--host", "127.0.0.1", "--port", str(port)]
    with running(bench, "bentoml", argv, BUNDLE=bench.bundle, BENTOML_DO_NOT_TRACK="True") as process:
        url = wait_for(port, "/readyz")
        yield Server("bentoml", url, lambda: [process, *process.children(recursive=True)])


@contextmanager
def _mlserver(bench: Bench, python: str) -> Iterator[Server]:
    folder, port = bench.work / "mlserver", free_port()
    folder.mkdir(exist_ok=True)
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_port": free_port(), "debug": False}
    model = {"name": MLSERVER, "implementation": "mlserver_server.Rows", "parameters": {"uri": bench.bundle}}
    for name, content in (("settings", settings), ("model-settings", model)):
        (folder / f"{name}.json").write_text(json.dumps(content))
    argv = [python, str(Path(python).with_name("mlserver")), "start", str(folder)]
    with running(bench, "mlserver", argv, PYTHONPATH=str(FILES), MLSERVER_METRICS_DIR=str(folder / "metrics")) as process:
        url = wait_for(port, f"/v2/models/{MLSERVER}/ready")
        yield Server("mlserver", url, lambda: [process, *process.children(recursive=True)])


def _one_row(bench: Bench) -> bytes:
    """MLServer has no other form than columns."""
    row = bench.example
    types = {each: pa.string() if isinstance(value, str) else pa.float64() for each, value in row.items()}
    table = pa.table({name: pa.array([value], types[name]) for name, value in row.items()})
    return json_columns(MLSERVER, table)


FRAMEWORKS = (
    Framework("LitServe", "litserve", _litserve, attrgetter("row")),
    Framework("BentoML", "bentoml", _bentoml, attrgetter("row")),
    Framework("MLServer", "mlserver", _mlserver, _one_row, lambda table: json_columns(MLSERVER, table), _MLSERVER_BESIDE),
)

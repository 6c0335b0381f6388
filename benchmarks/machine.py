"""What a result was measured on: without it no figure means anything."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from pathlib import Path
from typing import Any

import psutil

_PACKAGES = ("ray", "torch", "pyspark", "pysail", "onnxruntime", "mlflow", "duckdb", "polars", "pandas", "fastapi")


def describe() -> dict[str, Any]:
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def in_words(told: dict[str, Any]) -> str:
    return f"{told['date']}, {told['cores']} cores ({told['processor']}), {told['memory_gb']} GB, {told['system']}, Python {told['python']}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()

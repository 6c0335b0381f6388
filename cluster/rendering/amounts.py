"""Processor, memory and GPUs in Kubernetes' words.

The job file's memory is the work's own; what an engine takes beside it is added here, so that the same figure means the
same on every target.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from jobs.control.spec import memory_bytes

GPU = "nvidia.com/gpu"


@dataclass(frozen=True)
class Amounts:
    """Of one container. Memory is requested as limited, for a pod that was promised less is the first to be evicted; only what
    needs its most for a moment says so."""

    cpu: float  # cores that are reserved
    memory: int  # MiB
    cpu_limit: float = 0  # cores that it may use when they are free; 0 = as many as are reserved, and at least one
    gpu: int = 0
    memory_limit: int = 0  # MiB that it may use; 0 = as much as is reserved

    def as_dict(self) -> dict[str, Any]:
        gpus = {GPU: str(self.gpu)} if self.gpu else {}
        return {
            "requests": {"cpu": cores(self.cpu), "memory": f"{self.memory}Mi", **gpus},
            "limits": {"cpu": cores(most(self.cpu, self.cpu_limit)), "memory": f"{max(self.memory, self.memory_limit)}Mi", **gpus},
        }


def most(reserved: float, limit: float = 0) -> float:
    """Cores that may be used. A quarter of a core is a promise for a full node; held to it, Python would take a minute to start."""
    return max(reserved, limit or 1)


def cores(count: float) -> str:
    """``1`` to ``"1"``, ``0.25`` to ``"250m"``; Kubernetes knows nothing finer than a thousandth."""
    thousandths = max(1, round(count * 1000))
    return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"


def mebibytes(memory: str) -> int:
    """``"2Gi"`` to 2048, rounded up."""
    return math.ceil(memory_bytes(memory) / 2**20)

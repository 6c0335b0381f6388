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
    """Of one container. Memory is requested as limited: a pod that was promised less would be the first to be evicted."""

    cpu: float  # cores that are reserved
    memory: int  # MiB
    cpu_limit: float = 0  # cores that it may use when they are free; 0 = as many as are reserved
    gpu: int = 0

    def as_dict(self) -> dict[str, Any]:
        gpus = {GPU: str(self.gpu)} if self.gpu else {}
        memory = {"memory": f"{self.memory}Mi"}
        return {
            "requests": {"cpu": cores(self.cpu), **memory, **gpus},
            "limits": {"cpu": cores(max(self.cpu, self.cpu_limit)), **memory, **gpus},
        }


def cores(count: float) -> str:
    """``1`` to ``"1"``, ``0.25`` to ``"250m"``; Kubernetes knows nothing finer than a thousandth."""
    thousandths = max(1, round(count * 1000))
    return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"


def mebibytes(memory: str) -> int:
    """``"2Gi"`` to 2048, rounded up."""
    return math.ceil(memory_bytes(memory) / 2**20)

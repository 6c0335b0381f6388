"""What a training process uses, per epoch, under the names that MLflow's page of system metrics looks for."""

from __future__ import annotations

import time

import psutil
import torch

_MIB = 1 << 20


class Usage:
    """Of this process and its machine, since the last look."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._seen, self._at = self._seconds(), time.monotonic()

    def look(self) -> dict[str, float]:
        """Memory in MiB, processor time as per cent of one core (200 = two cores busy); a GPU's largest memory where there is one."""
        seconds, now = self._seconds(), time.monotonic()
        busy = 100 * (seconds - self._seen) / max(now - self._at, 1e-3)
        self._seen, self._at = seconds, now
        found = {"system/process_memory_megabytes": self._process.memory_info().rss / _MIB, "system/process_cpu_percentage": busy}
        found["system/system_memory_usage_percentage"] = psutil.virtual_memory().percent
        if torch.cuda.is_available():
            found["system/gpu_memory_usage_megabytes"] = torch.cuda.max_memory_allocated() / _MIB
        return {name: round(value, 1) for name, value in found.items()}

    def _seconds(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

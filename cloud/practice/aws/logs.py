"""CloudWatch Logs: lines arrive while a job runs, and are there again after a restart.

Streams are named as SageMaker names them: ``<job>/algo-1-<milliseconds>`` in ``/aws/sagemaker/TrainingJobs`` and so on.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from cloud.practice.settings import ACCOUNT

GROUPS = {"training": "TrainingJobs", "processing": "ProcessingJobs", "transform": "TransformJobs", "endpoint": "Endpoints/"}


class Logs:
    """``folder/<region>.jsonl`` keeps what was put: [group, stream, milliseconds, line]."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.jsonl"):
            for line in path.read_text().splitlines():
                with suppress(ValueError):
                    group, stream, at, text = json.loads(line)
                    self._put(path.stem, group, stream, at, text)

    def group(self, kind: str, name: str) -> str:
        return "/aws/sagemaker/" + GROUPS[kind] + (name if kind == "endpoint" else "")

    def put(self, region: str, group: str, stream: str, text: str) -> None:
        at = int(time.time() * 1000)
        with self._lock:
            self._put(region, group, stream, at, text)
            with (self._folder / f"{region}.jsonl").open("a") as file:
                file.write(json.dumps([group, stream, at, text]) + "\n")

    def open(self, region: str, group: str, stream: str) -> None:
        """Make a stream before its first line."""
        with self._lock:
            self._stream(region, group, stream)

    def _put(self, region: str, group: str, stream: str, at: int, text: str) -> None:
        self._stream(region, group, stream).put_log_events([{"timestamp": at, "message": text or " "}])

    @staticmethod
    def _stream(region: str, group: str, stream: str) -> Any:
        from moto.logs.models import logs_backends

        backend = logs_backends[ACCOUNT][region]
        if group not in backend.groups:
            backend.create_log_group(group, {})
        if stream not in backend.groups[group].streams:
            backend.groups[group].create_log_stream(stream)
        return backend.groups[group].streams[stream]

"""``python -m cloud.practice.server --home H``: the one process behind all ports, until it is told to end.

It writes ``<home>/practice/service.json`` last, when every port answers, and removes it first when it ends.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

from cloud.practice.hosts import Limits
from cloud.practice.serving import Ports
from cloud.practice.settings import Practice
from jobs.contracts.errors import EXIT_DONE, EXIT_FAILED
from jobs.control import processes

_FRONTS = ("cloud.practice.aws", "cloud.practice.azure")
RECORD = "service.json"
_START = 60.0  # seconds until every port must answer


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", required=True, type=Path)
    parser.add_argument("--ports", required=True, type=int, nargs=3, help="page, AWS, Azure")
    parser.add_argument("--cpu", type=float, default=0)
    parser.add_argument("--memory", type=int, default=0)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("azure").setLevel(logging.WARNING)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    page, aws, azure = given.ports
    practice = Practice.open(given.home / "practice", page, aws, azure, Limits(cpu=given.cpu, memory=given.memory))
    return _serve(practice, ended)


def _serve(practice: Practice, ended: threading.Event) -> int:
    fronts = [importlib.import_module(name) for name in _FRONTS]
    ports, record = Ports(), practice.folder / RECORD
    try:
        _open(practice, ports, *fronts)
        limit = time.monotonic() + _START
        while not ports.ready and not ports.broken and time.monotonic() < limit and not ended.is_set():
            time.sleep(0.01)
        if ports.broken or not ports.ready:
            return EXIT_FAILED
        _write(practice, record)
        for front in fronts:
            getattr(front, "resume", lambda practice: None)(practice)
        while not ended.wait(1):
            if ports.broken:
                return EXIT_FAILED
        return EXIT_DONE
    finally:
        record.unlink(missing_ok=True)
        for front in fronts:
            getattr(front, "close", lambda practice: None)(practice)
        practice.executor.close()
        ports.close()


def _open(practice: Practice, ports: Ports, aws: ModuleType, azure: ModuleType) -> None:
    from cloud.practice.page.app import create as create_page

    ports.wsgi(aws.create(practice), practice.aws_port)
    ports.asgi(create_page(practice), practice.page_port)
    if hasattr(azure, "create"):
        from cloud.practice.azure.authority import ensure

        certificate, key, _ = ensure(practice.folder / "tls")
        ports.asgi(azure.create(practice), practice.azure_port, (certificate, key))


def _write(practice: Practice, record: Path) -> None:
    facts = processes.identify(os.getpid()) | {
        "page": practice.page_url,
        "aws": practice.aws_url,
        "azure": practice.azure_url,
        "ports": [practice.page_port, practice.aws_port, practice.azure_port],
        "isolation": practice.executor.isolation,
    }
    temporary = record.with_suffix(".new")
    temporary.write_text(json.dumps(facts, indent=1))
    temporary.replace(record)


if __name__ == "__main__":
    sys.exit(main())

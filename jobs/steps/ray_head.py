"""``python -m jobs.steps.ray_head --ready FILE [--cpus N]``: the one Ray that all steps of a local run share.

Starts Ray on this machine, writes ``{"address": "host:port", "pid": n}`` to FILE once drivers can join, and holds it
up until SIGTERM, SIGINT or the end of the lifeline; then every process and file of that Ray goes. Whether drivers need a
token is the environment's word (``RAY_AUTH_MODE``, ``RAY_AUTH_TOKEN`` or ``RAY_AUTH_TOKEN_PATH``).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading

import ray

from jobs.contracts import storage
from jobs.contracts.entrypoint import watch_lifeline
from jobs.contracts.errors import EXIT_DONE
from jobs.control import ingress
from jobs.control.ray_folder import ray_folder

OBJECT_STORE = 256 << 20  # bytes; data travel as Parquet and bundles, so Ray's store holds next to nothing


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ready", required=True, help="file to write once drivers can join")
    parser.add_argument("--cpus", type=int, default=os.cpu_count() or 1, help="logical CPUs to offer")
    options = parser.parse_args(argv)
    end = threading.Event()
    with ray_folder() as folder:
        try:
            end_on_signal(end)
            watch_lifeline()
            address = start_ray(options.cpus, folder)
            end_on_signal(end)  # again: Ray puts its own handlers in place, which end the process on the spot
            storage.write_bytes(options.ready, json.dumps({"address": address, "pid": os.getpid()}).encode())
            end.wait()
        finally:
            ray.shutdown()
    return EXIT_DONE


def end_on_signal(end: threading.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.set())


def start_ray(cpus: int, folder: str) -> str:
    """Start a quiet one-machine Ray that only this machine can reach, with its files in ``folder``; return its address."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.update(ingress.flags() | ingress.places(folder))  # for whatever service will run in it
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 lets everything else on the machine go first; training is what it is here for
    ray.init(
        address="local",  # whatever else runs on this machine, or RAY_ADDRESS says
        num_cpus=cpus,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE,
        logging_level="error",
        log_to_driver=False,
        _node_ip_address=loopback(),
        _temp_dir=folder,
    )
    return str(ray.get_runtime_context().gcs_address)


def loopback() -> str | None:
    """An address that Ray takes for a host's own and no other machine reaches; None = Ray's choice.

    Ray replaces 127.0.0.1 by the address of the network card. Only Linux answers on all of 127.0.0.0/8 unasked.
    """
    one_machine = os.environ.get("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER") == "0"  # then Ray takes 127.0.0.1 by itself
    return "127.0.1.1" if sys.platform == "linux" and not one_machine else None


if __name__ == "__main__":
    sys.exit(main())

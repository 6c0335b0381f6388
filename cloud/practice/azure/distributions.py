"""What the hosts of a distribution need to find each other: ranks and addresses in variables, or a Ray that the service starts."""

from __future__ import annotations

import json
import math
import shlex
import socket
from typing import Any

_TORCH_PORT, _RAY_PORT = 6105, 6379
# Workers' ports are 0, "any", so that hosts that are processes of one machine do not meet; SIGTERM is passed on to the command.
_RAY_START = (
    "ray start --node-ip-address={address} --num-cpus={cores} --object-store-memory=209715200 --min-worker-port=0 --max-worker-port=0 "
    '--temp-dir="${{TMPDIR:-/tmp}}/ray" --disable-usage-stats --log-color=false {more}'
)
_RAY_HEAD = """{start} --head --port={port} --include-dashboard=false || exit 1
/bin/sh -c {command} &
child=$!
trap 'kill -TERM $child; wait $child' TERM
wait $child"""
_RAY_WORKER = """for try in $(seq 120); do
  {start} --address={head}:{port} --block && exit 0
  sleep 0.5
done
exit 1"""


def processes(distribution: dict[str, Any]) -> int:
    return int(distribution.get("processCountPerInstance") or 1)


def rendezvous(kind: str, distribution: dict[str, Any], addresses: list[str], index: int) -> dict[str, str]:
    """What every process of a host has; its ranks are added by ``launch.py``."""
    world = len(addresses) * processes(distribution)
    if kind == "TensorFlow":
        workers = int(distribution.get("workerCount") or len(addresses))
        tasks = [f"{address}:{_TORCH_PORT}" for address in addresses]
        cluster = {"worker": tasks[:workers], **({"ps": tasks[workers:]} if tasks[workers:] else {})}
        task = {"type": "worker", "index": index} if index < workers else {"type": "ps", "index": index - workers}
        return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}
    shared = {"MASTER_ADDR": addresses[0], "MASTER_PORT": str(_TORCH_PORT), "WORLD_SIZE": str(world), "NODE_RANK": str(index)}
    if kind == "Mpi":
        return {
            **shared,
            "OMPI_COMM_WORLD_SIZE": str(world),
            "AZ_BATCH_MASTER_NODE": f"{addresses[0]}:{_TORCH_PORT}",
            "AZ_BATCHAI_MPI_MASTER_NODE": addresses[0],
        }
    return shared


def ray_scripts(distribution: dict[str, Any], command: str, addresses: list[str], port: int, cores: float) -> list[str]:
    """What each host runs: the head starts Ray and the command, and its end ends the others; a worker joins and waits."""
    scripts = []
    for index, address in enumerate(addresses):
        more = str(distribution.get("workerNodeAdditionalArgs" if index else "headNodeAdditionalArgs") or "")
        start = _RAY_START.format(address=address, cores=math.ceil(cores), more=shlex.join(shlex.split(more)))
        script = (
            _RAY_WORKER.format(start=start, head=addresses[0], port=port) if index else _RAY_HEAD.format(start=start, port=port, command=shlex.quote(command))
        )
        scripts.append(script)
    return scripts


def ray_port(distribution: dict[str, Any]) -> int:
    """The port asked for, or one that is free: the head listens on every address of this machine, whatever its own is."""
    with socket.socket() as probe:
        try:
            probe.bind(("", int(distribution.get("port") or _RAY_PORT)))
        except OSError:
            probe.bind(("", 0))
        return int(probe.getsockname()[1])

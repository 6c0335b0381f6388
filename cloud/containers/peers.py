"""Ray across the hosts of a training job, which SageMaker itself does not start.

The first host starts Ray's head and runs the step; the others join and leave when the head leaves. What Ray 2.60 needs for it:

- ``--node-ip-address``: the address of the host's own name. Left to itself, Ray takes the one that leads to the internet.
- The head's server listens on every interface whatever that address is. On a real host that is fine and its port is 9339; where
  hosts are processes of one machine two heads would meet, so that a free port is taken. It must lie outside the workers' ports
  (10002 to 19999 unless they are set to 0, "any": then neighbours on one machine do not meet there either).
- ``--temp-dir``: each host's own and short, because Ray makes sockets below it and their paths may have 107 characters. A node
  that joins does not have to use the head's.
- ``RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0``, which keeps a Ray on 127.0.0.1, must not be set. Addresses 127.0.1.1, 127.0.1.2, … are
  as good as any; of 127.0.0.1 and ``localhost`` Ray makes the address of the network card.
- A driver on the head finds its node by the processes it sees and needs no ``_node_ip_address``.
- ``--num-cpus``: each host's share of the workers and no more, or all workers may be packed on one host.
- A token: without one, everybody who reaches the port may run anything. It travels in the step's folder (:mod:`cloud.containers.meeting`).
- ``GLOO_SOCKET_IFNAME`` and ``NCCL_SOCKET_IFNAME``: the network interface that SageMaker names.
- The end: a node whose head is gone tries to reach it for a minute, and SIGTERM waits up to 30 s for it too. Nothing is left to be
  saved then, so that all its processes are killed.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from cloud.containers import addresses
from cloud.containers.layout import Hosts
from cloud.containers.meeting import Invitation, Meeting
from cloud.containers.ray_node import RayNode, free_port
from cloud.containers.stopping import Stopping
from jobs.contracts.errors import RunError
from jobs.contracts.job import Job

PORT = 9339  # of the head; the one of AWS's own samples
PATIENCE = 600.0  # seconds until every host must have joined: one may pull its image long after another
_LOOK = 0.5  # seconds between two looks at the notes
_GONE = 3  # refused connections in a row, a second apart, after which the head has left


def cores_per_host(job: Job, hosts: Hosts) -> int:
    """What each host offers, so that the workers spread evenly."""
    workers = job.resources.get("workers", 1)
    most = int(workers["max"] if isinstance(workers, dict) else workers)
    return max(1, math.ceil(most / len(hosts)) * max(1, math.ceil(float(job.resources.get("cpu", 1)))))


@contextmanager
def led(hosts: Hosts, meeting: Meeting, cores: int, environment: Mapping[str, str], stopping: Stopping) -> Iterator[dict[str, str]]:
    """On the head: a Ray that every host has joined; yields the variables that lead a driver to it.

    Errors: RunError when Ray does not start or a host does not come.
    """
    address = addresses.address_of(hosts.current, environment)
    meeting.clear(*hosts.names)
    port = free_port(address) if addresses.is_loopback(address) else PORT
    invitation = Invitation(f"{address}:{port}", secrets.token_hex(32), secrets.token_hex(8))
    with RayNode(["--head", f"--port={port}", "--include-dashboard=false"], address, cores, invitation.token, environment) as node:
        node.wait(invitation.is_open, PATIENCE, stopping)
        meeting.invite(hosts.head, invitation)
        node.wait(node.has_started, PATIENCE, stopping)
        _assemble(hosts, meeting, invitation, node, stopping)
        try:
            yield {"SEATRIAL_RAY_ADDRESS": invitation.address, **node.client_variables}
        finally:
            meeting.clear(*hosts.names)


def _assemble(hosts: Hosts, meeting: Meeting, invitation: Invitation, node: RayNode, stopping: Stopping) -> None:
    started = time.monotonic()
    missing = set(hosts.others)
    while missing and not stopping.asked.is_set():
        missing = {name for name in missing if not meeting.has_joined(name, invitation.number)}
        if missing and time.monotonic() - started > PATIENCE:
            raise RunError(
                f"{', '.join(sorted(missing))} did not join within {PATIENCE:.0f} s",
                where=f"Ray at {invitation.address}",
                hint="read the logs of these hosts; a security group of the job's own subnets must let its members talk to each other",
            )
        node.check()
        time.sleep(_LOOK if missing else 0)
    print(f"Ray: {len(hosts)} hosts in {time.monotonic() - node.began:.1f} s, head at {invitation.address}", flush=True)


def follow(hosts: Hosts, meeting: Meeting, cores: int, environment: Mapping[str, str], stopping: Stopping) -> int:
    """On any other host: join the head and stay until it leaves. The exit code is 0: whether the job succeeded is the head's to say.

    Errors: RunError when there is no head to join, or this host's Ray breaks.
    """
    address = addresses.address_of(hosts.current, environment)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and not stopping.asked.is_set():
        invitation = meeting.invitation(hosts.head)
        if invitation is None or not invitation.is_open():
            time.sleep(_LOOK)
            continue
        with RayNode([f"--address={invitation.address}"], address, cores, invitation.token, environment) as node:
            if node.joins(PATIENCE, stopping):
                meeting.join(hosts.current, invitation.number)
                print(f"Ray: joined {hosts.head} at {invitation.address} after {time.monotonic() - node.began:.1f} s", flush=True)
                _stay(node, invitation, stopping)
                return 0
    if stopping.asked.is_set():
        return 0
    raise RunError(f"{hosts.head} started no Ray within {PATIENCE:.0f} s", where=hosts.current, hint=f"read the log of {hosts.head}")


def _stay(node: RayNode, invitation: Invitation, stopping: Stopping) -> None:
    """Until the head is gone. A SIGTERM is the head's business first: it may still save what was trained."""
    refused = 0
    while refused < _GONE and time.monotonic() < stopping.deadline:
        time.sleep(1)
        refused = 0 if invitation.is_open() else refused + 1
        if not refused:
            node.check()

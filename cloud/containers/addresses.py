"""Names of hosts to addresses. AWS asks for patience: a name may be known to the network a while after its host has started."""

from __future__ import annotations

import ipaddress
import os
import socket
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from jobs.contracts.errors import RunError

HOSTS = "SEATRIAL_HOSTS"  # "algo-1=127.0.1.1 algo-2=127.0.1.2": where hosts are processes and their names mean nothing to the system
PATIENCE = 300.0  # seconds until a name must mean something
# Each names one of the clouds' services; on loopback it is the practice service.
_SERVICES = ("AWS_ENDPOINT_URL", "AZUREML_SERVICE_ENDPOINT", "IDENTITY_ENDPOINT", "MLFLOW_TRACKING_URI")


def address_of(name: str, env: Mapping[str, str] = os.environ, patience: float = PATIENCE) -> str:
    """Errors: RunError when the name means nothing for so long."""
    known = dict(pair.split("=", 1) for pair in env.get(HOSTS, "").split() if "=" in pair)
    if name in known:
        return known[name]
    deadline = time.monotonic() + patience
    while True:
        try:
            return socket.gethostbyname(name)
        except OSError as error:
            if time.monotonic() > deadline:
                raise RunError(
                    f"no address is known of host {name!r}", where="the job's network", hint="submit again; look at the job's VPC settings"
                ) from error
        time.sleep(1)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_practice(env: Mapping[str, str] = os.environ) -> bool:
    """Whether the cloud around this container is the practice service, on this machine."""
    return any(is_loopback(urlsplit(env.get(name, "")).hostname or "") for name in _SERVICES)

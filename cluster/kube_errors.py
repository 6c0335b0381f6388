"""What the Kubernetes API's status codes mean to a user: one table.

``Absent``, ``Exists`` and ``NotReady`` are answers that callers expect; :mod:`cluster.kube_client` turns them into values
wherever it can.
"""

from __future__ import annotations

import json
import re
from typing import Any

from jobs.contracts.errors import RequestError, RunError, SeatrialError, SetupError


class Absent(SetupError):
    """404: the object, its whole kind, or its namespace."""


class Exists(RequestError):
    """409: an object of this name is there already."""


class NotReady(RunError):
    """400: a container that has not started has no log."""


class Refused(RequestError):
    """403: not allowed, over quota, or against a policy."""


# What is said for a status, and what to do next. ``{}`` takes the server's own sentence.
_TABLE: dict[int, tuple[type[SeatrialError], str, str]] = {
    401: (SetupError, "the cluster does not accept these credentials (401): {}", "log in again; `kubectl auth whoami` tells who you are"),
    403: (Refused, "the cluster refuses this (403): {}", "`kubectl auth can-i --list` shows what you may do; quota and policies are named in the message"),
    404: (Absent, "not there (404): {}", "for a RayJob, install the KubeRay operator and its CRDs; else check the name and the namespace"),
} | {busy: (RunError, f"the API server is in trouble ({busy}): {{}}", "run the same command again") for busy in (429, 500, 502, 503, 504)}


def of_status(status: int, message: str, where: str) -> SeatrialError:
    """The error for an HTTP status; 0 = the request got no HTTP answer."""
    if status == 0:
        refused = re.search(r"Handshake status (\d+)", message)  # how a websocket reports one
        return of_status(int(refused[1]), message, where) if refused else unreachable(message, where)
    if status == 404 and message.startswith('namespaces "'):
        return Absent(message, where=where, hint="install the chart there, or set targets.kubernetes.namespace")
    if status in _TABLE:
        kind, what, hint = _TABLE[status]
        return kind(what.format(message), where=where, hint=hint)
    if status == 409 and "already exists" in message.lower():
        return Exists(message, where=where)
    if status == 400 and "waiting to start" in message:
        return NotReady(message, where=where)
    return RequestError(f"the cluster refuses this ({status}): {message}", where=where, hint="`seatrial plan` shows the request")


def unreachable(reason: str, where: str) -> SetupError:
    return SetupError(f"no answer from the cluster's API: {reason}", where=where, hint="is the cluster up? `kubectl cluster-info` asks the same server")


def message_of(error: Any) -> str:
    """The server's own sentence, from the client's exception."""
    body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else error.body or ""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return str(body).strip() or str(error.reason)

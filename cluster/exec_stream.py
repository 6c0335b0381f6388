"""One command in a pod, over the channels of a Kubernetes exec stream: 0 = input, 1 = output, 2 = errors, 3 = the verdict."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from jobs.contracts.errors import RunError

_OUTPUT, _ERRORS, _VERDICT = 1, 2, 3
_WAIT = 1.0  # seconds between two looks at a silent stream


def converse(stream: Any, data: Iterable[bytes], keep: Callable[[bytes], object]) -> tuple[int, str]:
    """Feed a command and hear it out: its exit code and standard error; ``keep`` gets its standard output piece by piece.

    The input is not closed, because the v4 channel protocol cannot: the command must know where to end.
    Errors: RunError when the stream breaks before a verdict.
    """
    import websocket

    heard = {_ERRORS: b"", _VERDICT: b""}

    def hear(wait: float) -> None:
        stream.update(timeout=wait)
        if piece := stream.read_channel(_OUTPUT):
            keep(piece)
        for channel in heard:
            heard[channel] += stream.read_channel(channel)

    try:
        for piece in data:
            if not stream.is_open():
                break  # the command ended without reading everything; its verdict says why
            stream.write_stdin(piece)
            hear(0)
        while stream.is_open():
            hear(_WAIT)
        hear(0)
    except (OSError, websocket.WebSocketException) as error:
        if not heard[_VERDICT]:
            raise RunError(f"the connection to the pod broke: {error}", hint="run the same command again; what was brought whole is kept") from error
    finally:
        stream.sock.shutdown()  # its `close` leaves the socket open once the server has closed first
    return _exit_code(heard[_VERDICT]), heard[_ERRORS].decode(errors="replace").strip()


def _exit_code(verdict: bytes) -> int:
    """From the Status object that ends a command; -1 = it did not even start, or nobody knows.

    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
    """
    status = json.loads(verdict or b"{}")
    if status.get("status") == "Success":
        return 0
    causes = status.get("details", {}).get("causes", [])
    return next((int(each["message"]) for each in causes if each.get("reason") == "ExitCode"), -1)

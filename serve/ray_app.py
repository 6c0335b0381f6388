"""Hosts the serving application in Ray Serve.

    python -m serve.ray_app up --model NAME [--model NAME]... --tracking-uri URI [--port 8000] [--alias champion] [--ray-address ADDR] [--ready FILE]
    python -m serve.ray_app down [--ray-address ADDR]

``up`` joins the Ray at ADDR, deploys, waits until the service answers over HTTP, writes FILE ({"url", "pid"}) and
exits: the service lives on in that Ray until ``down``; with ``--if-absent`` one that is up for these models is left
alone, and one that is up for others answers for these as well from then on. Of several models, side by side in each
replica, the first has the short paths. Without an address it starts a Ray of its own and stays in the foreground,
because that Ray ends with it.
Exit codes: 0 done, 1 failed, 2 wrong request, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

import ray
from ray import serve as ray_serve
from ray.exceptions import RayError

import serve
from jobs.contracts import storage
from jobs.contracts.entrypoint import watch_lifeline
from jobs.contracts.errors import EXIT_DONE, EXIT_INTERRUPTED, RunError, SeatrialError, SetupError
from jobs.control.service_key import authorization
from serve import ray_lane, ray_metrics
from serve.answers import Receive, Scope, Send
from serve.asgi import ECHOED, Application

HOST = "127.0.0.1"  # a laptop's service is the laptop's own
APP = "seatrial"
AUTO = "auto"  # Ray's word for the cluster whose node this process runs on
LOGGING = {"enable_access_log": False}  # it would be a line per request in the proxy and another in the replica
_LOG_HINT = "the logs are in Ray's folder, session_latest/logs"
LIVE_TIMEOUT = 60  # seconds until the deployed service must answer
_RAY_OPTIONS = {"namespace": "seatrial", "include_dashboard": False, "log_to_driver": False, "logging_level": "WARNING"}


class BehindRay:
    """The application where Ray hands requests over itself, after giving each an id and putting that into the answer."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._application({**scope, ECHOED: True}, receive, send)


class ServingReplica:
    """What a Ray Serve replica holds: the ASGI application, built in the replica's own process."""

    def __init__(self, models: Sequence[str], tracking_uri: str, alias: str) -> None:
        self.models, self.tracking_uri, self.alias = tuple(models), tracking_uri, alias

    def __serve_build_asgi_app__(self) -> BehindRay:
        from serve.rollout.actor import reporter
        from serve.rollout.opening import add_gauges, open_traffic

        uri, alias = self.tracking_uri, self.alias
        followed = [open_traffic(name, uri, alias, reporter(uri, name, alias)) for name in self.models]
        for each in followed:
            each.refresh()  # so that a replica which takes another one's place has its models before it is asked
        application = Application(*followed)
        add_gauges(application)
        ray_lane.hosted[:] = [application]
        ray_metrics.Mirror(application.metrics.registry).start()
        gc.collect()
        gc.freeze()  # what is loaded by now stays: a full collection would look at all of it, for tens of milliseconds
        return BehindRay(application)

    def describe(self) -> dict[str, Any]:
        """Whose code this process runs, and which of the heavy engines it has loaded (there should be none)."""
        return {"pid": os.getpid(), "package": serve.__file__, "engines": sorted({"torch", "mlflow", "pyspark"} & sys.modules.keys())}


def deployment(replicas: int = 1) -> Any:
    """The Ray Serve deployment: a tenth of a core, so that it starts beside a training that holds all of them."""
    return ray_serve.deployment(
        ray_serve.ingress()(ServingReplica),
        name="replica",
        num_replicas=replicas,
        ray_actor_options={"num_cpus": 0.1},
        max_ongoing_requests=256,  # the application is asynchronous: waiting requests cost little
        health_check_period_s=5,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=5,
    )


def up(models: Sequence[str], tracking_uri: str, *, port: int, alias: str = "champion", replicas: int = 1) -> str:
    """Deploy into the Ray that this process has joined; the base URL once it answers for these models.

    Errors: SetupError when the port is taken, other than by this Ray's service, RunError when the service does not come up.
    """
    if APP not in ray_serve.status().applications:
        check_port(port)
    url = f"http://{HOST}:{port}"
    try:
        ray_serve.start(http_options={"host": HOST, "port": port}, proxy_location="HeadOnly", logging_config=LOGGING)
        target = ray_serve.RunTarget(deployment(replicas).bind(tuple(models), tracking_uri, alias), name=APP, route_prefix="/", logging_config=LOGGING)
        # Serve's own wait looks once a second: the service itself is asked instead.
        ray_serve.run_many([target], wait_for_applications_running=False, wait_for_ingress_deployment_creation=False)
    except (RayError, TimeoutError) as error:
        raise RunError(f"Ray Serve did not start: {error}", where=url, hint=_LOG_HINT) from error
    wait_until_live(url, models)
    return url


def down() -> None:
    """End the service in the Ray that this process has joined; nothing when there is none."""
    ray_serve.shutdown()


def check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise SetupError(f"port {port} cannot be used: {error}", where=HOST, hint="choose another with --port, or end the service that has it") from error


def wait_until_live(url: str, models: Sequence[str] = (), timeout: float = LIVE_TIMEOUT) -> None:
    """Until it answers, and for these models, where it tells us which it has.

    Errors: RunError when it does not in time.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(f"{url}/v2/health/live", timeout=2):
            if set(models) <= set(models_at(url) or models):
                return
        time.sleep(0.05)
    raise RunError(f"the service did not answer within {timeout:.0f} s", where=url, hint=_LOG_HINT)


def main(argv: list[str] | None = None) -> int:
    """The command line above."""
    arguments = _parser().parse_args(argv)
    watch_lifeline()
    try:
        if arguments.command == "up":
            up_already = models_at(f"http://{HOST}:{arguments.port}") or () if arguments.if_absent else ()
            if up_already and set(arguments.models) <= set(up_already):
                return EXIT_DONE
            if not up_already:
                check_port(arguments.port)  # before Ray is joined, which takes a second
            arguments.models = list(dict.fromkeys([*up_already, *arguments.models]))
        elif not arguments.ray_address:
            raise SetupError("no Ray to join", hint="give --ray-address or SEATRIAL_RAY_ADDRESS; a service that `up` started by itself ends with Ctrl-C")
        join(arguments.ray_address)
        signal.signal(signal.SIGTERM, _interrupt)  # after joining, because ray.init puts a handler there that aborts
        _up(arguments) if arguments.command == "up" else down()
    except SeatrialError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return EXIT_DONE


def models_at(url: str) -> list[str] | None:
    """The models that a service of ours answers for, with or without a version; None where none answers."""
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{url}/v2", headers=authorization()), timeout=2) as answer:
            return list(json.load(answer).get("models", ()))
    except (OSError, ValueError):
        return None


def _up(arguments: argparse.Namespace) -> None:
    url = up(arguments.models, arguments.tracking_uri, port=arguments.port, alias=arguments.alias, replicas=arguments.replicas)
    if arguments.ready:
        storage.write_bytes(arguments.ready, json.dumps({"url": url, "pid": os.getpid()}).encode())
    print(f"{', '.join(arguments.models)} served at {url}", flush=True)
    if not arguments.ray_address:
        try:
            threading.Event().wait()
        finally:
            down()


def join(address: str) -> None:
    """Join the Ray at ``host:port``, or start one when the address is empty.

    Errors: SetupError, RunError where Ray does not come up.
    """
    host = address.rpartition(":")[0]
    # A Ray that keeps to the loopback is found only by a driver that names the same loopback address as its own.
    options = _RAY_OPTIONS | ({"_node_ip_address": host} if host.startswith("127.") else {})
    if address and address != AUTO:
        _check_reachable(address)
    try:
        ray.init(address=address or "local", **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise SetupError(
            f"cannot join Ray: {error}", where=address or "local", hint="is it running, and are RAY_AUTH_MODE and RAY_AUTH_TOKEN those it was started with?"
        ) from error
    except Exception as error:  # what Ray raises, with no type of its own, when its processes do not come up in time
        raise RunError(f"Ray did not start: {error}", where=address or "local", hint="is this machine very busy? the same command tries again") from error


def _check_reachable(address: str) -> None:
    """Say at once what Ray itself says after two minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError, OverflowError) as error:
        raise SetupError(f"no Ray answers: {error}", where=address, hint="is it still running?") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serve.ray_app", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up", help="deploy and wait until the service answers")
    start.add_argument("--model", required=True, action="append", dest="models", metavar="NAME", help="registered model; give it again for several")
    start.add_argument("--tracking-uri", required=True, help="MLflow: sqlite:///path or http(s)://")
    start.add_argument("--alias", default="champion")
    start.add_argument("--port", type=int, default=8000)
    start.add_argument("--replicas", type=int, default=1)
    start.add_argument("--ready", default="", help="file to write once the service answers")
    start.add_argument("--if-absent", action="store_true", help="leave a service of these models alone; add them to one of others")
    for command in (start, commands.add_parser("down", help="end the service")):
        command.add_argument("--ray-address", default=os.environ.get("SEATRIAL_RAY_ADDRESS", ""))
    return parser


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    from serve.ray_app import main as imported_main  # so that Ray pickles the replica by its module's name, not as part of __main__

    sys.exit(imported_main())

"""``seatrial ui``"""

from __future__ import annotations

import importlib.util
import os
import sys

import click

_DASHBOARD = "http://127.0.0.1:8265"


@click.command("ui", epilog="Example: seatrial ui --port 5001")
@click.option("--port", default=5000, show_default=True, help="Of MLflow's pages, on loopback.")
def command(port: int) -> None:
    """MLflow's pages on this store: parameters, metrics per epoch, system metrics, reports. Ctrl-C ends them.

    A Ray that runs here has pages of its own, whose address is printed.
    """
    from jobs.contracts.errors import SetupError, missing_extra
    from jobs.control.home import Home
    from jobs.control.mlflow_http import is_server

    home = Home.find()
    ray = os.environ.get("RAY_ADDRESS", "")
    click.echo(f"Ray's dashboard   {ray if ray.startswith('http') else _DASHBOARD} (while a run or a service has a Ray up)")
    if is_server(home.tracking_uri):
        click.echo(f"MLflow            {home.tracking_uri}")
        return
    if not home.root.exists():
        raise SetupError("nothing was run here yet", where=str(home.root), hint="seatrial run FILE")
    if importlib.util.find_spec("mlflow") is None:
        raise missing_extra("mlflow", "registry")
    click.echo(f"MLflow            http://127.0.0.1:{port}")
    sys.stdout.flush()
    argv = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", home.tracking_uri, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.execv(sys.executable, argv)  # noqa: S606 - this process becomes the server, so that Ctrl-C and kill reach it

"""The registry, an MLflow server here, is out of reach when the run wants to write to it."""

import subprocess
import sys
import time
import urllib.request

from drills import voyage
from drills.sandbox import Sandbox, free_port, wait_until
from drills.story import Story

BREAKS = "the MLflow server is killed while the run trains, and is back later"
EXPECTS = "the run ends with a message that names the address; nothing trained is lost, and the same command registers exactly one version"


def drill(sea: Sandbox, story: Story) -> None:
    port = free_port()
    server = _serve(sea, port)
    address = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
    try:
        client = sea.start(*voyage.arguments(sea), **address)
        voyage.until_epoch(sea, client, 20)
        with story.fault("kill -9 the MLflow server"):
            _end(server)
            _, errors = client.communicate(timeout=240)
            story.check(client.returncode in (1, 2) and str(port) in errors and "Traceback" not in errors, "the message names the address", errors[-3000:])
            voyage.until_quiet(sea)
            server = _serve(sea, port)
            answer = sea.run(*voyage.arguments(sea), **address)
            story.check(answer.returncode == 0, "the same command goes on", answer.stderr[-3000:])
        seen = voyage.epochs(sea)
        story.check(seen == sorted(set(seen)), "nothing was trained twice")
        story.check(voyage.weights(sea) == voyage.undisturbed(), "the weights are those of an undisturbed training, bit for bit")
        listed = sea.run("models", "list", "--output", "json", **address).stdout
        story.check(listed.count('"version"') == 1, "exactly one version is registered", listed)
    finally:
        _end(server)


def _serve(sea: Sandbox, port: int) -> subprocess.Popen[bytes]:
    folder = sea.folder / "registry"
    folder.mkdir(exist_ok=True)
    argv = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{folder / 'server.db'}", "--serve-artifacts"]
    argv += ["--artifacts-destination", str(folder / "artefacts"), "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with (folder / "log.txt").open("ab") as log:
        server = subprocess.Popen(argv, stdout=log, stderr=log, env=_environment(), start_new_session=True)
    wait_until(lambda: _answers(port))
    return server


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # six more processes that nothing here needs


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        time.sleep(0.2)
        return False


def _end(server: subprocess.Popen[bytes]) -> None:
    from jobs.control import processes

    processes.stop_session(server.pid, server, grace=0.1)

"""The registry, an MLflow server here, is out of reach when the run wants to write to it."""

from contextlib import ExitStack
from typing import Any

from drills import voyage
from drills.sandbox import Sandbox, free_port
from drills.story import Story

BREAKS = "the MLflow server is stopped while the run trains, and is back later"
EXPECTS = "the run ends with a message that names the address; nothing trained is lost, and the same command registers exactly one version"


def drill(sea: Sandbox, story: Story) -> None:
    from tests.mlflow_server import start

    port, folder = free_port(), sea.folder / "registry"
    folder.mkdir()
    address: Any = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
    with ExitStack() as server:
        server.enter_context(start(folder, port))
        client = sea.start(*voyage.arguments(sea), **address)
        voyage.until_epoch(sea, client, 20)
        with story.fault("stop the MLflow server"):
            server.close()
            _, errors = client.communicate(timeout=240)
            story.check(client.returncode in (1, 2) and str(port) in errors and "Traceback" not in errors, "the message names the address", errors[-3000:])
            voyage.check_quiet(sea, story)
            server.enter_context(start(folder, port))
            answer = sea.run(*voyage.arguments(sea), **address)
            story.check(answer.returncode == 0, "the same command goes on", answer.stderr[-3000:])
        seen = voyage.epochs(sea)
        story.check(seen == sorted(set(seen)), "nothing was trained twice", seen)
        story.check(voyage.weights(sea) == voyage.undisturbed(), "the weights are those of an undisturbed training, bit for bit")
        listed = sea.run("models", "list", "--output", "json", **address).stdout
        story.check(listed.count('"version"') == 1, "exactly one version is registered", listed)

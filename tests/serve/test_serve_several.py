"""Several models in one service, as the command line sees them, with a key that the service wants."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from jobs.contracts.errors import SetupError
from jobs.control import processes
from jobs.control.cli import serve as serving
from jobs.control.home import Home
from jobs.control.registry_reader import ModelVersion
from jobs.control.rollout.following import wait_until_followed
from jobs.control.rollout.record import Mode
from jobs.control.services import Services, check_models, read_service
from serve.asgi import Application
from serve.guard.settings import GuardSettings
from serve.rollout.traffic import RolloutTraffic
from tests.serve.conftest import Alias, Published, following
from tests.serve.rollout.conftest import Registry


@pytest.fixture
def home(published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home whose service, this process, has the models ``parcels`` and ``odd name``."""
    import uvicorn

    keys = tmp_path / "keys"
    keys.write_text("me:a-key-of-mine-0001\n")
    monkeypatch.setenv("SEATRIAL_SERVE_KEYS", str(keys))
    registry, second = Registry(published), published.version(2)
    registry.put(1, 2, Mode.CANARY, percent=25, revision=7)
    traffic = RolloutTraffic("parcels", registry)
    slot = following("odd name", Alias(ModelVersion("odd name", "4", second.uri, second.fingerprint)))
    traffic.refresh()
    slot.refresh()
    running = uvicorn.Server(uvicorn.Config(Application(traffic, slot, settings=GuardSettings(keys=str(keys))), port=0, log_level="warning"))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    monkeypatch.setenv("SEATRIAL_HOME", str(tmp_path / "home"))
    found = Home.find()
    found.create()
    url = f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    found.service.write_text(json.dumps(processes.identify(os.getpid()) | {"url": url, "models": ["parcels", "odd name"], "keep": True}))
    yield found
    running.should_exit = True
    thread.join()


def test_status_tells_of_each(home: Home) -> None:
    status = json.loads(CliRunner().invoke(serving.command, ["status", "--output", "json"]).output)
    (other,) = status["others"]
    assert [(each["model"], each["ready"], each["versions"]) for each in (status, other)] == [("parcels", True, ["1", "2"]), ("odd name", True, ["4"])]
    assert {each["version"]: each["role"] for each in status["traffic"]} == {"1": "champion", "2": "canary"}
    text = CliRunner().invoke(serving.command, ["status"]).output
    assert text.index("parcels") < text.index("odd name")


def test_top_watches_the_one_that_is_named(home: Home) -> None:
    run = CliRunner()
    first = run.invoke(serving.command, ["top", "--once", "--every", "0.2"]).output
    assert ("parcels at" in first, "canary" in first) == (True, True)
    assert "odd name at" in run.invoke(serving.command, ["top", "--once", "--every", "0.2", "--model", "odd name"]).output
    wrong = run.invoke(serving.command, ["top", "--once", "--model", "letters"])
    assert isinstance(wrong.exception, SetupError)


def test_a_step_is_followed_by_its_own_model(home: Home) -> None:
    assert wait_until_followed(home, "parcels", 7, patience=5)
    assert wait_until_followed(home, "odd name", 7, patience=0) is False
    assert wait_until_followed(home, "letters", 1) is None


def test_without_the_key_the_commands_see_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATRIAL_SERVE_KEYS", "")
    assert json.loads(CliRunner().invoke(serving.command, ["status", "--output", "json"]).output)["ready"] is False


def test_a_service_that_lacks_a_model_is_not_taken_for_one_that_has_it(home: Home) -> None:
    services = Services(home, models=["parcels"], port=1)
    services.start(cpus=1, keep=True)
    assert services.reused
    with pytest.raises(SetupError, match="serves parcels and odd name, not letters") as error:
        Services(home, models=["letters"], port=1).start(cpus=1, keep=True)
    assert "seatrial serve up parcels 'odd name' letters" in error.value.hint


def test_a_record_of_an_older_release_has_one_model(home: Home) -> None:
    record = json.loads(home.service.read_text())
    del record["models"]
    home.service.write_text(json.dumps(record | {"model": "parcels"}))
    found = read_service(home)
    assert found is not None
    check_models(found, ["parcels"])

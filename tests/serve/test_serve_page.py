"""The page at the service's root: its files, what they ask for, and how it works in a real browser by keyboard alone."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobs.control.registry_reader import ModelVersion
from jobs.control.rollout.record import Mode
from serve import explain
from serve.asgi import Application
from serve.guard.settings import GuardSettings
from serve.model import LoadedModel
from serve.rollout.traffic import RolloutTraffic
from serve.usual import usual_values
from serve.watching.live_drift import LiveDrift
from tests.browser import Tab, browser
from tests.serve.conftest import ROW, Alias, Published, call, following
from tests.serve.rollout.conftest import Registry

FILES = ["/", "/docs", "/page.js", "/page.css"]
MINUS = "\N{MINUS SIGN}"
KEY = "a-key-for-the-page-0001"


@pytest.mark.parametrize("path", FILES)
def test_the_page_loads_nothing_from_elsewhere_and_shows_nothing_by_itself(app: Application, path: str) -> None:
    page = call(app, "GET", path)
    assert page.status == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(rb"(src|href|url)\W+https?:|parcels|<script>|innerHTML", page.body)


def test_an_explanation_is_the_models_own_answer_to_the_row_with_one_field_as_usual(app: Application) -> None:
    answer = call(app, "POST", "/explain", ROW).json
    form = call(app, "GET", "/form").json
    usual = {field["name"]: field["usual"] for field in form["fields"]}
    assert [effect["field"] for effect in answer["effects"]] == list(ROW)
    for effect in answer["effects"]:
        changed = ROW | {effect["field"]: usual[effect["field"]]}
        (asked,) = call(app, "POST", "/predict", changed).json["predictions"]
        assert effect["score"] == pytest.approx(asked["probability"], abs=1e-6)
        assert effect["change"] == pytest.approx(answer["score"] - asked["probability"], abs=1e-6)
    (asked,) = call(app, "POST", "/predict", usual).json["predictions"]
    assert answer["usual_score"] == pytest.approx(asked["probability"], abs=1e-6)
    assert (answer["effects"][0]["value"], answer["effects"][2]["value"]) == ("red", None)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [([ROW, ROW], 400, "one row"), ([], 400, "one row"), ({"color": 1}, 400, "'color'"), (b"no", 400, "JSON"), (ROW | {"size": 1e39}, 400, "'size'")],
)
def test_what_cannot_be_explained_is_refused(app: Application, body: Any, status: int, message: str) -> None:
    reply = call(app, "POST", "/explain", body)
    assert (reply.status, message in reply.json["error"]) == (status, True), reply.json


def test_a_question_is_no_traffic(app: Application) -> None:
    call(app, "POST", "/models/parcels/versions/1/explain", ROW)
    metrics = call(app, "GET", "/metrics").body.decode()
    assert 'http_route="/models/{name}/explain"' in metrics
    assert 'seatrial_rows_total{model="parcels",model_version="1"} 0.0' in metrics


def test_usual_values_are_medians_and_the_most_frequent_text(published: Published) -> None:
    model = LoadedModel(published.version(1))
    usual = dict(zip(model.reader.names, model.usual, strict=True))
    assert usual["color"] in {"black", "blue", "green", "red"}
    assert usual["size"] == pytest.approx(10, abs=0.5)
    assert usual["weight"] == pytest.approx(3, abs=0.2)


def test_what_is_private_unknown_or_mostly_absent_is_null(published: Published) -> None:
    model = LoadedModel(published.version(1))
    assert model.reference is not None
    color, size, _ = model.reference.columns
    absent = model.reference.model_copy(update={"columns": (color, size.model_copy(update={"nulls": 10_000_000}))})
    assert usual_values(model.bundle.inputs, absent) == (model.usual[0], None, None)
    assert usual_values(model.bundle.inputs, None) == (None, None, None)


def test_the_form_offers_a_bounded_number_of_values(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain, "MOST_VALUES", 3)
    color, size, _ = call(app, "GET", "/form").json["fields"]
    assert (color["values"], color["more_values"]) == (["black", "blue", "green"], 1)
    assert size["range"][0] < size["usual"] < size["range"][1]


# ---- In a browser ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "keys"
    path.write_text(f"person:{KEY}")
    return path


@pytest.fixture(scope="module")
def served(published: Published, keys: Path) -> Iterator[str]:
    """Two models behind uvicorn, the first with a canary, and a key that is wanted."""
    import uvicorn

    registry = Registry(published)
    registry.put(1, 2, Mode.CANARY, percent=50)
    traffic = RolloutTraffic("parcels", registry, watchers=[LiveDrift()])
    second = published.version(2)
    letters = following("letters", Alias(ModelVersion("letters", "7", second.uri, second.fingerprint)))
    traffic.refresh()
    letters.refresh()
    app = Application(traffic, letters, settings=GuardSettings(keys=str(keys)))
    running = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    running.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def tab(served: str) -> Iterator[Tab]:
    with browser() as opened:
        opened.open(served)
        yield opened


def load(url: str, count: int, size: float) -> None:
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {KEY}"}) as client:
        for number in range(count):
            assert client.post("/predict", json=ROW | {"size": size + number % 7}).status_code == 200


def test_a_person_gives_a_key_asks_and_watches_without_a_mouse(tab: Tab, served: str, tmp_path: Path) -> None:
    tab.wait("!document.getElementById('key-form').hidden")
    assert tab.focus() == "key"
    assert "parcels" not in tab.js("document.documentElement.outerHTML"), "without a key the page knows nothing"
    _picture(tab, tmp_path, "key")
    tab.type("not-the-key-not-the-key")
    tab.key("Enter")
    tab.wait("document.getElementById('key-why').textContent.includes('not known')")
    tab.js("document.getElementById('key').focus()")
    tab.type(KEY)
    tab.key("Enter")
    tab.wait("!document.getElementById('main').hidden")
    assert tab.js("document.getElementById('name').textContent") == "parcels"
    assert "Version 1 answers: chance that the parcel is late" in tab.js("document.getElementById('about').textContent")

    assert _values(tab) == _example(served)
    order = []
    for _ in range(6):
        order.append(tab.focus())
        tab.key("Tab")
    assert order == ["field-0", "field-1", "field-2", "send", "example", "usual"]
    tab.js("document.getElementById('field-1').select(); document.getElementById('field-1').focus()")
    tab.type("18.25")
    tab.key("Enter")
    tab.wait("!document.getElementById('moved').hidden")
    row = _example(served) | {"size": 18.25}
    expected = _ask(served, row)
    assert tab.js("document.querySelector('.score').textContent").startswith(f"{100 * expected['score']:.1f} %")
    rows = tab.js("[...document.querySelectorAll('#effects tr')].map(row => [...row.children].map(cell => cell.textContent))")
    strongest = sorted(expected["effects"], key=lambda effect: -abs(effect["change"]))
    assert [row[0] for row in rows] == [effect["field"] for effect in strongest]
    assert tab.js("document.getElementById('measure').textContent").startswith("Points")
    assert rows[0][3] == f"{'+' if strongest[0]['change'] > 0 else MINUS}{100 * abs(strongest[0]['change']):.1f}"

    load(served, 250, 20.0)
    tab.wait("document.querySelectorAll('#versions tr').length == 2 && document.querySelector('#columns').textContent.includes('drifted')")
    tab.wait("/\\d/.test(document.querySelectorAll('#versions tr')[0].children[5].textContent)")
    versions = tab.js("[...document.querySelectorAll('#versions tr')].map(row => [...row.children].slice(0, 3).map(cell => cell.textContent))")
    assert [(version, role) for version, role, _ in versions] == [("1", "champion"), ("2", "canary")]
    assert sum(int(count) for _, _, count in versions) == 250, "what the page asked is no traffic"
    _picture(tab, tmp_path, "page")
    assert [each for each in tab.complaints if "401" not in each] == []


def test_a_wrong_value_is_explained_and_an_unknown_one_is_marked(tab: Tab) -> None:
    tab.js("document.getElementById('field-0').select(); document.getElementById('field-0').focus()")
    tab.type("mauve")
    assert "never met" in tab.js("document.getElementById('field-0').title")
    tab.js("document.getElementById('field-1').select(); document.getElementById('field-1').focus()")
    tab.type("1e300")
    tab.key("Enter")
    tab.wait("document.getElementById('answer').textContent.includes('must lie within')")
    tab.js("document.getElementById('usual').focus()")
    tab.key("Enter")
    tab.js("document.getElementById('send').focus()")
    tab.key("Enter")
    tab.wait("!document.getElementById('moved').hidden")
    assert set(tab.js("[...document.querySelectorAll('#effects tr')].map(row => row.children[3].textContent)")) == {"0.0"}


def test_another_model_is_chosen_by_keyboard(tab: Tab, tmp_path: Path) -> None:
    tab.js("document.getElementById('models').focus()")
    tab.key("ArrowDown")
    tab.wait("document.getElementById('about').textContent.startsWith('Version 7 answers')")
    assert tab.js("document.getElementById('name').textContent") == "letters"
    assert "/models/letters/predict" in tab.js("document.getElementById('command').textContent")
    tab.js("document.getElementById('send').focus()")
    tab.key("Enter")
    tab.wait("document.getElementById('answer').textContent.includes('Version 7')")
    _picture(tab, tmp_path, "narrow", 420)


def _picture(tab: Tab, folder: Path, name: str, width: int = 1280) -> None:
    """PICTURES_OF_TESTS names a folder in which they are kept for people to look at."""
    tab.picture(Path(os.environ.get("PICTURES_OF_TESTS", folder)) / f"serve-{name}.png", width)


def _values(tab: Tab) -> dict[str, Any]:
    return dict(json.loads(tab.js("JSON.stringify(values())")))


def _example(url: str) -> dict[str, Any]:
    return dict(httpx.get(f"{url}/example", headers={"authorization": f"Bearer {KEY}"}).json())


def _ask(url: str, row: dict[str, Any]) -> dict[str, Any]:
    return dict(httpx.post(f"{url}/models/parcels/versions/1/explain", json=row, headers={"authorization": f"Bearer {KEY}"}).json())

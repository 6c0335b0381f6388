"""The page in a real browser, over a service that really ran something."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from cloud.practice.page.app import create
from cloud.practice.serving import Ports
from tests.cloud.practice.service import Service, training, training_ended, wait_for

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def page(service: Service) -> Iterator[str]:
    ports = Ports()
    ports.asgi(create(service.practice), service.practice.page_port)
    wait_for(lambda: ports.ready)
    client = service.client()
    script = "print('first <b>line</b>', flush=True); print('last line')"
    client.create_training_job(**training("seen", script, HyperParameters={"lr": "<i>0.5</i>"}))
    training_ended(client, "seen")
    yield service.practice.page_url
    ports.close()


def ask(url: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def browse(url: str) -> str:
    """The page's DOM after a headless browser ran its script for some seconds of its own time."""
    if CHROMIUM is None:
        pytest.skip("no chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            f"--user-data-dir={profile}",
            "--virtual-time-budget=4000",
            "--dump-dom",
        ]
        browser = subprocess.Popen([CHROMIUM, *flags, url], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True)
        try:
            return browser.communicate(timeout=90)[0]
        finally:
            if browser.poll() is None:
                os.killpg(browser.pid, signal.SIGKILL)
                browser.wait()


def test_a_browser_shows_states_log_artefacts_and_request(page: str) -> None:
    dom = browse(f"{page}/#aws%2Ftraining%2Fseen")
    assert re.search(r"SageMaker · training</small></span><span class=\"status good\">Completed", dom)
    states = re.search(r'id="states">(.*?)</table>', dom, re.DOTALL)
    assert states is not None
    assert re.findall(r"<td>[^<]*</td><td>(\w+)</td>", states[1]) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert "first &lt;b&gt;line&lt;/b&gt;\nlast line" in dom  # text, not markup
    assert "&lt;i&gt;0.5&lt;/i&gt;" in dom
    assert "out/seen/output/model.tar.gz" in dom
    assert 'aria-label="Starting, Downloading, Training, Uploading, Completed"' in dom


def test_logs_come_in_pieces(page: str) -> None:
    where = f"{page}/api/log?cloud=aws&kind=training&name=seen&host=algo-1"
    _, whole = ask(where)
    assert whole["text"] == "first <b>line</b>\nlast line\n"
    _, rest = ask(f"{where}&offset={whole['next'] - 10}")
    assert rest == {"text": "last line\n", "next": whole["next"]}
    assert ask(f"{where[:-1]}9")[1] == {"text": "", "next": 0}


def test_other_names_and_other_sites_are_refused(page: str) -> None:
    assert ask(f"{page}/api/state", Host="evil.example")[0] == 403
    assert ask(f"{page}/api/inject", {"kind": "quota"}, **{"Content-Type": "text/plain"})[0] == 415
    assert ask(f"{page}/api/inject", {"kind": "flood"}, **{"Content-Type": "application/json"})[0] == 400
    assert ask(f"{page}/api/state")[1]["injections"] == []

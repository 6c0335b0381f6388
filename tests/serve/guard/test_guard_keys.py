"""Bearer keys: who gets in, by which name, and how keys change while the service runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs.contracts.errors import SetupError
from jobs.control.service_key import authorization, first_of
from serve import request_log
from serve.guard import keys as guard_keys
from serve.guard.door import OPEN
from serve.guard.keys import Keys, read
from tests.serve.conftest import ROW, call
from tests.serve.guard.conftest import KEY, OTHER, Make, bearer

PROTECTED = [
    ("POST", "/predict"),
    ("POST", "/invocations"),
    ("POST", "/v2/models/parcels/infer"),
    ("GET", "/v2/models/parcels"),
    ("GET", "/example"),
    ("GET", "/openapi.json"),
    ("GET", "/v2"),
    ("GET", "/nothing"),
    ("OPTIONS", "/predict"),
    ("GET", "/metrics/"),
]


@pytest.mark.parametrize(("method", "path"), PROTECTED)
@pytest.mark.parametrize("given", ["", "Bearer", "Bearer ", f"Basic {KEY}", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", KEY, "Bearer \xff"])
def test_without_a_valid_key_nothing_is_told(make: Make, keys: Path, method: str, path: str, given: str) -> None:
    reply = call(make(keys=str(keys)), method, path, ROW, {"authorization": given, "content-type": "application/json"})
    assert (reply.status, reply.headers["www-authenticate"]) == (401, 'Bearer realm="seatrial"')
    assert "x-seatrial-bundle" not in reply.headers
    assert "parcels" not in reply.body.decode()


def test_either_key_opens(make: Make, keys: Path) -> None:
    app = make(keys=str(keys))
    assert [call(app, "POST", "/predict", ROW, bearer(key)).status for key in (KEY, OTHER)] == [200, 200]
    assert call(app, "POST", "/predict", ROW, {"authorization": f"bearer  {KEY}"}).status == 200, "the scheme's name has no case (RFC 9110)"


@pytest.mark.parametrize("path", sorted(OPEN - {"/page.js", "/page.css"}))
def test_probes_metrics_and_the_empty_page_need_none(make: Make, keys: Path, path: str) -> None:
    assert call(make(keys=str(keys)), "GET", path).status == 200


def test_the_log_has_the_keys_name_and_never_the_key(make: Make, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(request_log.FILE, str(tmp_path / "requests.jsonl"))
    app = make(keys=str(keys))
    call(app, "POST", "/predict", ROW, bearer(OTHER))
    call(app, "POST", "/predict", ROW, bearer("x" * 20))
    app._notes.log.flush()  # type: ignore[union-attr]
    text = (tmp_path / "requests.jsonl").read_text()
    known, unknown = (json.loads(line) for line in text.splitlines())
    assert (known["client"], unknown["status"], "client" in unknown) == ("office", 401, False)
    assert OTHER not in text
    assert "x" * 20 not in text


def test_keys_change_while_the_service_runs(keys: Path) -> None:
    known = Keys(str(keys))
    keys.write_text(f"shop:{KEY}\nshop:{KEY}-new\n")
    known.refresh()
    assert [known.owner(key.encode()) for key in (KEY, f"{KEY}-new", OTHER)] == ["shop", "shop", ""]
    keys.write_text("")
    known.refresh()
    assert known.owner(KEY.encode()) == "", "a file without keys lets nobody in"


def test_the_running_service_looks_by_itself(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_keys, "SECONDS", 0.01)
    known = Keys(str(keys))
    known.start()
    keys.write_text(f"late:{KEY}")
    for _ in range(500):
        if known.owner(KEY.encode()) == "late":
            break
        known._stop.wait(0.01)
    known.stop()
    assert known.owner(KEY.encode()) == "late"


@pytest.mark.parametrize("text", ["shop:short", "shop", "sh op:" + KEY, "shop:two words are too many"])
def test_what_is_malformed_later_leaves_the_former_keys(keys: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    known = Keys(str(keys))
    keys.write_text(text)
    for _ in range(3):
        known.refresh()
    assert known.owner(KEY.encode()) == "shop"
    assert len([record for record in caplog.records if "the former keys stay" in record.message]) == 1, "once, not at every look"
    assert KEY not in caplog.text


def test_a_folder_is_what_kubernetes_mounts(tmp_path: Path) -> None:
    for name, key in (("..2026", "x"), ("shop", f"{KEY}\n"), ("office", OTHER)):
        (tmp_path / name).write_text(key)
    known = Keys(str(tmp_path))
    assert [known.owner(key.encode()) for key in (KEY, OTHER, "x")] == ["shop", "office", ""]
    assert first_of(str(tmp_path)) == OTHER


def test_a_client_on_this_machine_finds_a_key(keys: Path, tmp_path: Path) -> None:
    wanted = {"authorization": f"Bearer {KEY}"}
    assert authorization({"SEATRIAL_SERVE_KEYS": str(keys)}) == authorization({"SEATRIAL_SERVE_KEY": f"{KEY}\n", "SEATRIAL_SERVE_KEYS": "elsewhere"}) == wanted
    assert authorization({"SEATRIAL_SERVE_KEYS": str(tmp_path / "none")}) == authorization({}) == {}


@pytest.mark.parametrize("text", ["shop:short", f"shop {KEY}", f":{KEY}"])
def test_a_service_with_malformed_keys_does_not_start(make: Make, keys: Path, text: str) -> None:
    keys.write_text(text)
    with pytest.raises(SetupError) as error:
        make(keys=str(keys))
    assert "line 1" in str(error.value)
    assert KEY not in str(error.value)


def test_nor_one_whose_keys_are_missing(make: Make, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read"):
        make(keys=str(tmp_path / "none"))


def test_memory_holds_no_key(keys: Path) -> None:
    assert KEY not in repr(read(keys))

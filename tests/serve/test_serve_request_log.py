"""The request log: a line per request, off unless asked for, sampled, bounded, and never in a request's way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.contracts.errors import SetupError
from serve import request_log
from serve.asgi import Application
from serve.request_log import Line, RequestLog
from tests.serve.conftest import ROW, Alias, Published, application, call


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def logged(published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Application:
    monkeypatch.setenv(request_log.FILE, str(tmp_path / "requests.jsonl"))
    app = application(Alias(published.version(1)))
    app.slot.refresh()
    return app


def test_a_line_tells_what_was_asked_and_what_answered(logged: Application, tmp_path: Path) -> None:
    body = call(logged, "POST", "/predict", [ROW, ROW], {"x-request-id": "order-7", "content-type": "application/json"}).body
    call(logged, "GET", "/nothing")
    logged._notes.log.flush()  # type: ignore[union-attr]
    first, second = lines(tmp_path / "requests.jsonl")
    assert first.pop("time") > 1.6e9
    assert 0 < first.pop("milliseconds") < 1e3
    assert first == {
        "request_id": "order-7", "method": "POST", "path": "/predict", "status": 200, "rows": 2, "model": "parcels", "version": "1", "bytes": len(body),
    }  # fmt: skip
    assert (second["path"], second["status"], "rows" in second) == ("/nothing", 404, False)


def test_off_by_default(app: Application) -> None:
    assert app._notes.log is None


@pytest.mark.parametrize("share", ["2", "-0.1", "half", "nan"])
def test_a_share_that_is_none(share: str) -> None:
    with pytest.raises(SetupError, match="from 0 to 1"):
        request_log.from_environment({request_log.FILE: "-", request_log.SAMPLE: share})


def test_a_sample_is_a_share_of_ids_and_all_server_errors() -> None:
    log = RequestLog("-", sample=0.1)
    chosen = [log.wants(f"id-{number}", 200) for number in range(5_000)]
    assert 350 < sum(chosen) < 650
    assert log.wants("id-0", 200) == log.wants("id-0", 404)
    assert all(log.wants(f"id-{number}", 503) for number in range(100))
    assert not any(RequestLog("-", sample=0).wants(f"id-{number}", 200) for number in range(1_000))


def test_a_file_starts_anew_and_keeps_its_predecessor(tmp_path: Path) -> None:
    log = RequestLog(str(tmp_path / "log"), limit=400)
    for number in range(12):
        log.put(Line(0, str(number), "GET", "/", 200, 1.0))
        log.flush()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1"]
    assert [line["request_id"] for line in lines(tmp_path / "log.1") + lines(tmp_path / "log")][-1] == "11"
    assert (tmp_path / "log.1").stat().st_size < 600


def test_what_cannot_be_kept_or_written_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_log, "_WAITING", 2)
    log = RequestLog(str(tmp_path / "missing" / "log"))
    for number in range(5):
        log.put(Line(0, str(number), "GET", "/", 200, 1.0))
    log.flush()  # the folder is missing: two more are lost
    (tmp_path / "missing").mkdir()
    log.put(Line(0, "next", "GET", "/", 200, 1.0))
    log.flush()
    assert [(line["request_id"], line["dropped"]) for line in lines(tmp_path / "missing" / "log")] == [("next", 5)]


def test_the_thread_writes_by_itself_and_ends(tmp_path: Path) -> None:
    log = RequestLog(str(tmp_path / "log"))
    log.start()
    log.put(Line(0, "1", "GET", "/", 200, 1.0))
    log.stop()
    assert len(lines(tmp_path / "log")) == 1

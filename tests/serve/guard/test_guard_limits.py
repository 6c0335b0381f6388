"""Rates, sizes, time limits and refusals under load."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.contracts.errors import SetupError
from serve import scoring
from serve.asgi import Application
from serve.batching import VARIABLE, Batcher
from serve.guard import rate as rates
from serve.guard.patience import Patience
from serve.guard.rate import Rate
from serve.guard.settings import GuardSettings, from_environment
from tests.serve.conftest import ROW, call
from tests.serve.guard.conftest import KEY, OTHER, Make, bearer

TENSOR = {"inputs": [{"name": "size", "shape": [1], "datatype": "FP64", "data": [1.0]}]}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@given(st.floats(0.1, 1_000), st.integers(1, 50), st.lists(st.floats(0, 5), max_size=60))
def test_nobody_gets_more_than_burst_and_rate(rate: float, burst: int, pauses: list[float]) -> None:
    clock = Clock()
    limit, allowed = Rate(rate, burst, clock=clock), 0
    for pause in pauses:
        clock.now += pause
        wait = limit.wait("a")
        allowed += not wait
        assert allowed <= burst + rate * (clock.now - 100) + 1e-6
        if wait:
            clock.now += wait + 1e-6
            assert limit.wait("a") == 0, "what it says is how long it takes"
            allowed += 1


def test_a_whole_burst_at_once_and_others_are_not_touched() -> None:
    limit = Rate(2, 3, clock=Clock())
    assert [limit.wait("a") > 0 for _ in range(4)] == [False, False, False, True]
    assert limit.wait("b") == 0


def test_a_flood_of_addresses_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST", 100)
    clock = Clock()
    limit = Rate(1, 5, clock=clock)
    waits = [limit.wait(f"address {number}") for number in range(1_000)]
    assert len(limit._due) <= 101
    assert sum(wait > 0 for wait in waits) == 1_000 - 100 - 5, "the rest shares one allowance"
    clock.now += 60
    assert limit.wait("address 2000") == 0
    assert len(limit._due) == 1, "whoever was quiet is forgotten"


def test_beyond_the_rate_it_is_429_with_the_time_to_wait(make: Make, keys: Path) -> None:
    app = make(keys=str(keys), rate=0.5, burst=2)
    assert [call(app, "POST", "/predict", ROW, bearer(KEY)).status for _ in range(3)] == [200, 200, 429]
    reply = call(app, "POST", "/predict", ROW, bearer(KEY))
    assert (reply.headers["retry-after"], reply.json["error"]) == ("2", "too many requests: wait 2 s")
    assert call(app, "POST", "/predict", ROW, bearer(OTHER)).status == 200
    assert call(app, "GET", "/v2/health/live").status == 200
    assert 'seatrial_shed_total{reason="rate"} 2.0' in call(app, "GET", "/metrics").body.decode()


def test_guessing_keys_has_a_rate_too(make: Make, keys: Path) -> None:
    app = make(keys=str(keys), rate=0.01, burst=2)
    assert [call(app, "POST", "/predict", ROW, bearer(f"guess-{number:016}")).status for number in range(3)] == [401, 401, 429]
    assert call(app, "POST", "/predict", ROW, bearer(KEY)).status == 200


@pytest.mark.parametrize(("proxies", "told_apart"), [(0, False), (1, True), (2, False)])
def test_an_address_is_believed_from_trusted_proxies_alone(make: Make, proxies: int, told_apart: bool) -> None:
    app = make(rate=0.01, burst=1, proxies=proxies)
    asked = [call(app, "GET", "/v2", headers={"x-forwarded-for": f"10.0.0.9, 10.1.0.{number}"}).status for number in range(2)]
    assert asked == [200, 200 if told_apart else 429]


def test_the_size_limit_can_be_moved(make: Make) -> None:
    app = make(body_mib=1)
    reply = call(app, "POST", "/predict", b" " * ((1 << 20) + 1))
    assert (reply.status, "larger than 1 MiB" in reply.json["error"]) == (413, True)
    assert call(make(body_mib=32), "POST", "/predict", b" " * (17 << 20)).status == 400


def run(app: Application, *requests: Any, path: str = "/predict") -> list[int]:
    """Statuses of requests that arrive in one turn of the loop; each is an ASGI ``receive``."""
    statuses: list[int] = []

    async def one(receive: Any) -> None:
        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
                if message["status"] == 503:
                    assert (b"retry-after", b"1") in message["headers"]

        headers = [(b"content-type", b"application/json"), (b"content-length", str(getattr(receive, "length", 10)).encode())]
        await app({"type": "http", "method": "POST", "path": path, "headers": headers}, receive, send)

    async def everything() -> None:
        await asyncio.gather(*(one(receive) for receive in requests))

    asyncio.run(everything())
    return statuses


def whole(body: bytes, seconds: float = 0, length: int = 10) -> Any:
    async def receive() -> dict[str, Any]:
        time.sleep(seconds)  # holds the event loop up, as work does
        return {"type": "http.request", "body": body}

    receive.length = length  # type: ignore[attr-defined]
    return receive


def never(length: int = 10) -> Any:
    async def receive() -> dict[str, Any]:
        await asyncio.sleep(60)
        raise AssertionError

    receive.length = length  # type: ignore[attr-defined]
    return receive


def test_a_client_that_does_not_send_its_body_gets_408(make: Make) -> None:
    started = time.monotonic()
    assert run(make(timeout_seconds=0.05), never()) == [408]
    assert time.monotonic() - started < 5


def test_whoever_would_wait_too_long_is_told_at_once(make: Make) -> None:
    app = make(wait_ms=50)
    statuses = run(app, *(whole(b"{}", 0.02) for _ in range(8)))
    assert statuses[0] == 400
    assert statuses.count(503) >= 4
    assert statuses == sorted(statuses), "those that came first are answered"
    assert call(app, "POST", "/predict", ROW).status == 200, "and it recovers at once"
    assert 'seatrial_shed_total{reason="wait"}' in app.metrics.text()[0].decode()


def test_a_large_request_that_takes_too_long_gets_503(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "_whole", lambda *_: time.sleep(0.5))
    app = make(timeout_seconds=0.05)
    assert run(app, whole(b" " * (scoring.SMALL + 1))) == [503]
    assert 'seatrial_shed_total{reason="time"} 1.0' in app.metrics.text()[0].decode()


def test_large_bodies_under_way_are_bounded_in_number_and_bytes(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make(timeout_seconds=0.2)
    monkeypatch.setattr(scoring, "MOST_LARGE", 2)
    assert sorted(run(app, *(never(1 << 20) for _ in range(4)))) == [408, 408, 503, 503]
    monkeypatch.setattr(scoring, "MOST_LARGE", 64)
    monkeypatch.setattr(scoring, "MOST_HELD", 3 << 20)
    assert sorted(run(app, *(never(1 << 20) for _ in range(4)))) == [408, 408, 408, 503]
    assert (app._scoring._large, app._scoring._held) == (0, 0)


def test_a_queue_before_a_slow_model_is_bounded(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "on")
    app = make(wait_ms=50)
    monkeypatch.setattr(app.slot.live, "batched_row_seconds", 0.02)
    body = b'{"color": "red", "size": 1, "weight": null}'
    statuses = run(app, *(whole(body) for _ in range(10)))
    assert (statuses.count(200), statuses.count(503)) == (3, 7)
    assert run(app, whole(body)) == [200]


def test_the_batchers_queue_is_counted_down(make: Make) -> None:
    model = make().slot.live
    batcher = Batcher(model, lambda rows: None)

    async def score() -> None:
        await asyncio.gather(*(batcher.score(model.of_rows([("red", 1.0, None)])) for _ in range(5)))

    asyncio.run(score())
    batcher.close()
    assert batcher.expected_seconds == 0


@pytest.mark.parametrize(
    ("variable", "value"),
    [("RATE", "-1"), ("RATE", "nan"), ("BODY_MIB", "0"), ("TIMEOUT_SECONDS", "soon"), ("WAIT_MS", "0"), ("ORIGINS", "shop.example"), ("PROXIES", "-1")],
)
def test_a_setting_that_is_none_is_named(variable: str, value: str) -> None:
    with pytest.raises(SetupError) as error:
        from_environment({f"SEATRIAL_SERVE_{variable}": value})
    assert error.value.where == f"SEATRIAL_SERVE_{variable}"


def test_settings_come_from_the_environment() -> None:
    assert from_environment({}) == GuardSettings()
    found = from_environment({"SEATRIAL_SERVE_RATE": "2.5", "SEATRIAL_SERVE_ORIGINS": "https://a.example, http://b:8080", "SEATRIAL_SERVE_BODY_MIB": "2"})
    assert (found.rate, found.origins, found.body) == (2.5, "https://a.example, http://b:8080", 2 << 20)


def test_a_request_that_ends_in_time_is_left_alone_and_a_foreign_cancellation_stays_one() -> None:
    patience = Patience(0.05)

    async def quick() -> str:
        task = patience.begin()
        await asyncio.sleep(0.01)
        patience.end(task)
        await asyncio.sleep(0.2)
        return "done"

    async def cancelled() -> None:
        task = patience.begin()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            assert not patience.ended(task)
            raise
        finally:
            patience.end(task)

    async def both() -> None:
        other = asyncio.create_task(cancelled())
        await asyncio.sleep(0)
        other.cancel()
        with pytest.raises(asyncio.CancelledError):
            await other
        assert await quick() == "done"

    for _ in range(2):  # on one event loop after another
        asyncio.run(both())
    assert not patience._since

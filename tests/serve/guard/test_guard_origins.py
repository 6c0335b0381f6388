"""Cross-origin requests: off unless asked for."""

from __future__ import annotations

import pytest

from tests.serve.conftest import ROW, call
from tests.serve.guard.conftest import Make

SHOP = {"origin": "https://shop.example", "content-type": "application/json"}
ASKING = SHOP | {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}


def test_by_default_no_other_site_may_ask(make: Make) -> None:
    reply = call(make(), "POST", "/predict", ROW, SHOP)
    assert not [name for name in reply.headers if name.startswith("access-control")]
    assert call(make(), "OPTIONS", "/predict", b"", ASKING).status == 405


@pytest.mark.parametrize(
    ("origins", "allowed"), [("https://shop.example", "https://shop.example"), ("http://a, https://shop.example", "https://shop.example"), ("*", "*")]
)
def test_a_site_that_is_named_may(make: Make, origins: str, allowed: str) -> None:
    app = make(origins=origins)
    before = call(app, "OPTIONS", "/predict", b"", ASKING)
    assert (before.status, before.body, before.headers["access-control-allow-origin"]) == (204, b"", allowed)
    assert {"content-type", "authorization"} <= set(before.headers["access-control-allow-headers"].split(", "))
    reply = call(app, "POST", "/predict", ROW, SHOP)
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, allowed)
    assert "x-seatrial-model-version" in reply.headers["access-control-expose-headers"]


@pytest.mark.parametrize("origin", ["https://evil.example", "https://shop.example.evil", "null", ""])
def test_another_one_may_not(make: Make, origin: str) -> None:
    app = make(origins="https://shop.example")
    for method in ("OPTIONS", "POST"):
        reply = call(app, method, "/predict", ROW, ASKING | {"origin": origin})
        assert "access-control-allow-origin" not in reply.headers
        assert reply.headers["vary"] == "origin", "a cache must not give it another site's answer"


def test_errors_can_be_read_too(make: Make) -> None:
    reply = call(make(origins="*"), "POST", "/predict", b"no", SHOP)
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (400, "*")

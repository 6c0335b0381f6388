"""Hostile and broken requests between good ones."""

import http.client
import json
import random
import socket

from drills import voyage
from drills.sandbox import FILE, Sandbox
from drills.story import Story
from drills.traffic import Load

BREAKS = "a stream of broken JSON, wrong types, huge and endless bodies and cut connections, beside good traffic"
EXPECTS = "each bad request is refused with a 4xx; every good one is answered, with the same numbers as before"


def drill(sea: Sandbox, story: Story) -> None:
    answer = sea.run_file(FILE, *voyage.QUICK, "--keep")
    story.check(answer.returncode == 0, "a service is up", answer.stderr[-3000:])
    try:
        example = sea.get("/example")
        before = sea.post("/predict", example)[0]["predictions"]
        bad = {}
        with story.fault("poison the stream of requests"), Load(sea.port, example, clients=2) as load:
            for name, body in _poisons(example):
                bad[name] = _status(sea.port, body)
            for _ in range(20):
                _cut(sea.port)
        story.requests, story.requests_failed = load.answered + load.failed, load.failed
        story.check(all(400 <= status < 500 for status in bad.values()), f"{len(bad)} bad requests got a 4xx", bad)
        story.check(load.failed == 0, f"all {load.answered:,} good requests were answered", load.errors[:5])
        story.check(sea.post("/predict", example)[0]["predictions"] == before, "the answers are what they were")
    finally:
        sea.run("serve", "down")
    voyage.check_clean(sea, story)


def _poisons(example: dict[str, object]) -> list[tuple[str, bytes]]:
    good = json.dumps(example).encode()
    chance = random.Random(7)  # noqa: S311 - the same bytes every time
    cut = [(f"cut at {at}", good[:at]) for at in (0, 1, len(good) // 2, len(good) - 1)]
    noise = [(f"noise {n}", bytes(chance.randrange(256) for _ in range(200))) for n in range(20)]
    wrong: list[object] = [None, 7, "row", [[]], [None], {"unknown": 1}]
    flipped = [(f"types {n}", json.dumps(value).encode()) for n, value in enumerate(wrong)]
    return [
        *cut,
        *noise,
        *flipped,
        ("deep", b"[" * 100_000),
        ("huge number", good.replace(b"{", b'{"x": 1e999, ', 1)),
        ("many rows", b"[" + b"7," * 500_000 + b"7]"),
    ]


def _status(port: int, body: bytes) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


def _cut(port: int) -> None:
    """Promise a body, send a part of it, and go away."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{")

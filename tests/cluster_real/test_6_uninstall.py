"""Removing it leaves the data's claim and nothing else; purging leaves nothing."""

from __future__ import annotations

import time

from tests.cluster_real.sandbox import Sandbox


def test_nothing_is_left_but_the_claim(sandbox: Sandbox) -> None:
    answer = sandbox.run("cluster", "down", *sandbox.cluster, "--yes", limit=600)
    assert answer.returncode == 0, answer.stderr
    assert "seatrial-data" in answer.stdout
    # What the operator owns goes in the background.
    deadline = time.monotonic() + 180
    while (left := sandbox.left()) != ["persistentvolumeclaim/seatrial-data"]:
        assert time.monotonic() < deadline, left
        time.sleep(2)


def test_purging_removes_the_claim_and_the_namespace(sandbox: Sandbox) -> None:
    answer = sandbox.run("cluster", "down", *sandbox.cluster, "--purge", "--yes", limit=600)
    assert answer.returncode == 0, answer.stderr
    assert sandbox.kubectl.get("namespace", sandbox.namespace) is None

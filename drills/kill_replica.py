"""A serving replica, then the ingress, is killed under load."""

import os
import time

import psutil

from drills import voyage
from drills.sandbox import FILE, Sandbox, wait_until
from drills.story import Story
from drills.traffic import Load

BREAKS = "under load the replica that answers gets kill -9, then the proxy in front of it"
EXPECTS = "Ray Serve starts another; a client that repeats a refused request gets every answer"


def drill(sea: Sandbox, story: Story) -> None:
    answer = sea.run_file(FILE, *voyage.QUICK, "--keep")
    story.check(answer.returncode == 0, "a service is up", answer.stderr[-3000:])
    try:
        with Load(sea.port, sea.get("/example")) as load:
            wait_until(lambda: load.answered > 200)
            for text, name in (("ServeReplica", "the replica"), ("ProxyActor", "the ingress")):
                with story.fault(f"kill -9 {name}"):
                    _kill_and_wait(sea, text, load)
        story.requests, story.requests_failed = load.answered + load.failed, load.failed
        story.say(f"{story.requests:,} requests, {load.retried} repeated, slowest {load.worst:.1f} s")
        story.check(load.failed == 0, "no request failed for good", load.errors[:5])
    finally:
        sea.run("serve", "down")
    voyage.check_clean(sea, story)


def _kill_and_wait(sea: Sandbox, text: str, load: Load) -> None:
    """Until another process has taken its place and answers."""
    before = load.answered
    _find(sea, text).kill()
    time.sleep(0.5)
    wait_until(lambda: load.answered > before + 200 and _alive_again(sea, text), 60)


def _find(sea: Sandbox, text: str) -> psutil.Process:
    """Of this sandbox: its Ray's token lies in its store."""
    token = str(sea.store / "ray-token")
    for process in psutil.process_iter():
        try:
            if text in " ".join(process.cmdline()) and process.environ().get("RAY_AUTH_TOKEN_PATH") == token and process.pid != os.getpid():
                return process
        except psutil.Error:
            continue
    raise AssertionError(f"no process {text}")


def _alive_again(sea: Sandbox, text: str) -> bool:
    try:
        return _find(sea, text).is_running()
    except AssertionError:
        return False

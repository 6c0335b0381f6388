"""Moments of a run that drills wait for, and what they compare afterwards."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from drills.sandbox import FILE, Sandbox, make_sandbox, wait_until
from drills.story import Story
from jobs.contracts.job import reported
from jobs.control import ray_folder

EPOCHS = 150  # some ten seconds of training: long enough to be hit in the middle
LONG = ("--set", f"steps.fit.params.epochs_at_most={EPOCHS}", "--set", "steps.fit.retries=2")
QUICK = ("--set", "steps.fit.resources.workers=0")  # for drills that are not about training


def arguments(sea: Sandbox, *more: str) -> tuple[str, ...]:
    return ("run", FILE, "--set", f"targets.local.port={sea.port}", *LONG, *more)


def epochs(sea: Sandbox) -> list[int]:
    """Every epoch that training reported, in order, repeats included."""
    return [record["epoch"] for record in _reports(sea) if "epoch" in record]


def _reports(sea: Sandbox) -> Iterator[dict[str, Any]]:
    for path in sea.store.glob("runs/*/fit/metrics.jsonl"):
        yield from reported(path.read_text())


def until_epoch(sea: Sandbox, client: subprocess.Popen[str], epoch: int) -> None:
    wait_until(lambda: client.poll() is not None or epoch <= max(epochs(sea), default=0))
    assert client.poll() is None, client.communicate()


def family(client: subprocess.Popen[str], text: str) -> list[psutil.Process]:
    """Processes below the client whose command line has this text."""
    found = []
    for process in psutil.Process(client.pid).children(recursive=True):
        try:
            if text in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def finish(client: subprocess.Popen[str], story: Story, limit: float = 240) -> str:
    """Wait for a run that must succeed; what it told."""
    output, errors = client.communicate(timeout=limit)
    story.check(client.returncode == 0, "the run ended well", errors[-3000:])
    return output + errors


def weights(sea: Sandbox) -> str:
    """Hash of the newest run's model; the run's step may be a reused one."""
    (bundle,) = [each["uri"] for name, each in sea.newest_run()["steps"]["fit"]["outputs"].items() if name == "bundle"]
    return hashlib.sha256(Path(bundle, "model.onnx").read_bytes()).hexdigest()


@cache
def undisturbed() -> str:
    """Weights of the same training without any fault, made once per session."""
    with tempfile.TemporaryDirectory(prefix="drill-reference-") as folder:
        sea = make_sandbox(Path(folder))
        answer = sea.run(*arguments(sea))
        assert answer.returncode == 0, answer.stderr
        return weights(sea)


def check_quiet(sea: Sandbox, story: Story, seconds: float = 30) -> None:
    """What was running ends by itself."""
    deadline = time.monotonic() + seconds
    while (left := sea.processes()) and time.monotonic() < deadline:
        time.sleep(0.1)
    story.check(not left, "no process is left", left)


def check_whole(sea: Sandbox, story: Story, *, lost: int = 0) -> None:
    """What must hold after every run that went on: the model of an undisturbed one, one version, nothing left behind.

    ``lost``: checkpoints that the drill itself has destroyed.
    """
    seen = epochs(sea)
    twice = len(seen) - len(set(seen))
    story.check(max(seen) == EPOCHS and set(seen) == set(range(1, EPOCHS + 1)), f"every one of the {EPOCHS} epochs was trained")
    story.check(twice <= story.faults + lost, f"at most one epoch per fault{' and lost checkpoint' if lost else ''} was trained twice ({twice})", seen)
    story.check(weights(sea) == undisturbed(), "the weights are those of an undisturbed training, bit for bit")
    versions = sea.json("models", "list")
    story.check([version["version"] for version in versions] == ["1"], "exactly one version is registered", versions)
    check_clean(sea, story)


def check_clean(sea: Sandbox, story: Story) -> None:
    check_quiet(sea, story)
    ours = {".gitignore", ".validate_storage_marker"}  # the second is Ray Train's own
    leftovers = [str(path) for path in sea.store.rglob(".*") if path.is_file() and path.name not in ours]
    leftovers += map(str, ray_folder.left())
    story.check(not leftovers, "no temporary file is left", leftovers)


def go_on(sea: Sandbox, client: subprocess.Popen[str], story: Story) -> subprocess.Popen[str]:
    """Wait until training is taken up from a checkpoint: by the run itself or, where it ended with a message, by the same command once more."""
    wait_until(lambda: client.poll() is not None or _taken_up(sea))
    if client.poll() in (None, 0):
        story.say("the run went on by itself")
        return client
    _, errors = client.communicate()
    story.check(client.returncode == 1 and "next:" in errors, "it ended and said what to do", errors[-2000:])
    check_quiet(sea, story)
    story.say("the same command goes on")
    again = sea.start(*arguments(sea))
    wait_until(lambda: again.poll() is not None or _taken_up(sea))
    return again


def _taken_up(sea: Sandbox) -> bool:
    return any(record.get("message", "").startswith("resuming") for record in _reports(sea))

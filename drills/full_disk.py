"""The disk is full: while the ETL publishes, while training saves, while the registry is written."""

import subprocess
from pathlib import Path

from drills import voyage
from drills.sandbox import Sandbox, wait_until
from drills.story import Skipped, Story

BREAKS = "the store lies on a small file system that is filled at three moments: ETL, checkpoint, registry"
EXPECTS = "each time one sentence says that the disk is full; what was finished stays whole, and with room again the same command goes on"


def drill(sea: Sandbox, story: Story) -> None:
    small = sea.folder / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(small)], capture_output=True, check=False).returncode:
        raise Skipped("mounting a small file system needs root")
    try:
        sea.store.symlink_to(small)
        _fill_at_start(sea, story, small / "filler")
        _fill_while_training(sea, story, small / "filler")
        _fill_before_registering(sea, story, small / "filler")
        answer = sea.run(*voyage.arguments(sea))
        story.check(answer.returncode == 0, "with room again the same command goes on to the end", answer.stderr[-3000:])
        voyage.check_whole(sea, story)
    finally:
        subprocess.run(["umount", "-l", str(small)], check=False)


def _fill(filler: Path) -> None:
    """To the last byte."""
    try:
        with filler.open("ab", buffering=0) as stream:
            while True:
                stream.write(bytes(1 << 16))
    except OSError:
        pass


def _fill_at_start(sea: Sandbox, story: Story, filler: Path) -> None:
    with story.fault("fill the disk before the ETL"):
        _fill(filler)
        answer = sea.run(*voyage.arguments(sea))
        _check_told(story, answer.returncode, answer.stderr)
        story.check(not list(sea.store.glob("datasets/*/*/manifest.json")), "no dataset was published")
        filler.unlink()


def _fill_while_training(sea: Sandbox, story: Story, filler: Path) -> None:
    with story.fault("fill the disk while training saves"):
        client = sea.start(*voyage.arguments(sea))
        voyage.until_epoch(sea, client, 20)
        _fill(filler)
        _, errors = client.communicate(timeout=120)
        _check_told(story, client.returncode, errors)
        story.check(list(sea.store.glob("runs/*/fit/checkpoints/*.safetensors")), "checkpoints from before are there")
        filler.unlink()
        voyage.check_quiet(sea, story)


def _fill_before_registering(sea: Sandbox, story: Story, filler: Path) -> None:
    with story.fault("fill the disk before the registry is written"):
        client = sea.start(*voyage.arguments(sea))
        wait_until(lambda: client.poll() is not None or list(sea.store.glob("runs/*/judge/process.json")))
        _fill(filler)
        _, errors = client.communicate(timeout=120)
        _check_told(story, client.returncode, errors)
        filler.unlink()
        voyage.check_quiet(sea, story)
        story.check(sea.json("models", "list") == [], "no version was registered half")


def _check_told(story: Story, code: int, errors: str) -> None:
    story.check(code == 1 and "disk is full" in errors and "Traceback" not in errors, "one sentence says that the disk is full", errors[-3000:])

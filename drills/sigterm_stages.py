"""SIGTERM, as a scheduler or a shutdown sends it, while each stage runs."""

import signal
import subprocess

from drills import voyage
from drills.sandbox import Sandbox, wait_until
from drills.story import Story

BREAKS = "the run gets SIGTERM while it prepares, trains, judges and deploys, one after the other"
EXPECTS = "each time it ends with 130, leaves no process behind, and the same command goes on where it was"

STAGES = ("prepare", "fit", "judge", "answer")


def drill(sea: Sandbox, story: Story) -> None:
    for stage in STAGES:
        with story.fault(f"SIGTERM while {stage} runs"):
            client = sea.start(*voyage.arguments(sea))
            done = {name for name, step in _steps(sea).items() if step["state"] == "Succeeded"}
            _until_it_runs(sea, client, stage)
            if stage == "fit":
                voyage.until_epoch(sea, client, 20)
            client.send_signal(signal.SIGTERM)
            _, errors = client.communicate(timeout=60)
            story.check(client.returncode == 130 and "Traceback" not in errors, "it ended with 130", f"exit code {client.returncode}: {errors[-3000:]}")
            voyage.check_quiet(sea, story)
            kept = {name for name, step in _steps(sea).items() if step["state"] == "Succeeded"}
            story.check(done <= kept, f"finished steps are kept: {', '.join(sorted(kept)) or 'none yet'}")
    answer = sea.run(*voyage.arguments(sea))
    story.check(answer.returncode == 0, "the same command goes on to the end", answer.stderr[-3000:])
    voyage.check_whole(sea, story)


def _until_it_runs(sea: Sandbox, client: subprocess.Popen[str], stage: str) -> None:
    wait_until(lambda: client.poll() is not None or list(sea.store.glob(f"runs/*/{stage}/process.json")))


def _steps(sea: Sandbox) -> dict[str, dict[str, str]]:
    return sea.newest_run()["steps"] if list(sea.store.glob("runs/*/run.json")) else {}

"""The training's driver process is killed; the run starts it again."""

from drills import voyage
from drills.sandbox import Sandbox, wait_until
from drills.story import Story

BREAKS = "the process that drives the training (the step, not its workers) gets kill -9"
EXPECTS = "the run notices, starts the step again from its last checkpoint, and no old worker trains beside the new ones"


def drill(sea: Sandbox, story: Story) -> None:
    client = sea.start(*voyage.arguments(sea))
    voyage.until_epoch(sea, client, 20)
    with story.fault("kill -9 the training's driver"):
        voyage.family(client, "jobs.steps.train --job")[0].kill()
        reached = max(voyage.epochs(sea))  # after the kill: what was written until then is no recovery
        story.say(f"killed at epoch {reached}")
        wait_until(lambda: client.poll() is not None or max(voyage.epochs(sea)) > reached + 2)
    voyage.finish(client, story)
    voyage.check_whole(sea, story)

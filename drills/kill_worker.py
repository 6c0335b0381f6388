"""A training worker is killed; the others and the run go on."""

from drills import voyage
from drills.sandbox import Sandbox, wait_until
from drills.story import Story

BREAKS = "one of two training workers gets kill -9 in the middle of an epoch"
EXPECTS = "Ray Train starts the worker group again from the last checkpoint; nobody types a command"


def drill(sea: Sandbox, story: Story) -> None:
    client = sea.start(*voyage.arguments(sea))
    voyage.until_epoch(sea, client, 20)
    with story.fault("kill -9 a training worker"):
        voyage.family(client, "RayTrainWorker")[0].kill()
        reached = max(voyage.epochs(sea))  # after the kill: what was written until then is no recovery
        story.say(f"killed at epoch {reached}")
        wait_until(lambda: client.poll() is not None or max(voyage.epochs(sea)) > reached + 2)
    voyage.finish(client, story)
    voyage.check_whole(sea, story)

"""Ray's head dies under a run, with everything that ran in it."""

from drills import voyage
from drills.sandbox import Sandbox
from drills.story import Story

BREAKS = "Ray's own control process (gcs_server) and its node's raylet get kill -9"
EXPECTS = "the run starts another Ray and goes on, or ends with a clear message and the same command goes on from the last checkpoint"


def drill(sea: Sandbox, story: Story) -> None:
    client = sea.start(*voyage.arguments(sea))
    voyage.until_epoch(sea, client, 20)
    with story.fault("kill -9 gcs_server and raylet"):
        for process in [*voyage.family(client, "gcs_server --log_dir"), *voyage.family(client, "raylet/raylet --raylet_socket")]:
            process.kill()
        story.say(f"killed at epoch {max(voyage.epochs(sea))}")
        client = voyage.go_on(sea, client, story)
    voyage.finish(client, story)
    voyage.check_whole(sea, story)

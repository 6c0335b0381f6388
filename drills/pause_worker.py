"""A worker that is slow is not dead."""

import time

from drills import voyage
from drills.sandbox import Sandbox, wait_until
from drills.story import Story

BREAKS = "a training worker is stopped (SIGSTOP) for ten seconds, then goes on"
EXPECTS = "the others wait for it; nothing is started again, and the model is the same"


def drill(sea: Sandbox, story: Story) -> None:
    client = sea.start(*voyage.arguments(sea))
    voyage.until_epoch(sea, client, 20)
    with story.fault("SIGSTOP a training worker, SIGCONT ten seconds later"):
        worker = voyage.family(client, "RayTrainWorker")[0]
        worker.suspend()
        time.sleep(10)
        reached = max(voyage.epochs(sea))
        worker.resume()
        wait_until(lambda: client.poll() is not None or max(voyage.epochs(sea)) > reached + 2)
    voyage.finish(client, story)
    seen = voyage.epochs(sea)
    story.check(seen == sorted(set(seen)), "no epoch was trained twice", seen)
    voyage.check_whole(sea, story)

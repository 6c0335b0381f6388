"""The command itself is killed; the same command goes on."""

from drills import voyage
from drills.sandbox import Sandbox, wait_until
from drills.story import Story

BREAKS = "`seatrial run` gets kill -9 while it trains"
EXPECTS = "everything it had started ends with it, and the same command goes on in the same run"


def drill(sea: Sandbox, story: Story) -> None:
    client = sea.start(*voyage.arguments(sea))
    voyage.until_epoch(sea, client, 20)
    with story.fault("kill -9 the command"):
        client.kill()
        client.communicate(timeout=30)
        voyage.check_quiet(sea, story)
        reached = max(voyage.epochs(sea))
        run = sea.newest_run()["run"]
        client = sea.start(*voyage.arguments(sea))
        wait_until(lambda: client.poll() is not None or max(voyage.epochs(sea)) > reached)
    told = voyage.finish(client, story)
    story.check(f"continuing {run}" in told, "it went on in the same run", told)
    voyage.check_whole(sea, story)

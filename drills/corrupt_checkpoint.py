"""The newest checkpoint is damaged; the one before it is used."""

from drills import voyage
from drills.sandbox import Sandbox
from drills.story import Story

BREAKS = "the run is killed, and the newest checkpoint loses its last bytes"
EXPECTS = "the damage is noticed by its hash and told; training goes on from the checkpoint before it"


def drill(sea: Sandbox, story: Story) -> None:
    client = sea.start(*voyage.arguments(sea))
    voyage.until_epoch(sea, client, 20)
    with story.fault("kill -9 the command, cut the newest checkpoint short"):
        client.kill()
        client.communicate(timeout=30)
        voyage.check_quiet(sea, story)
        checkpoints = sorted(sea.store.glob("runs/*/fit/checkpoints/*.safetensors"))
        newest, before = checkpoints[-1], checkpoints[-2]
        newest.write_bytes(newest.read_bytes()[:-64])
        story.say(f"damaged {newest.name}; before it {before.name}")
        answer = sea.run(*voyage.arguments(sea))
        story.check(answer.returncode == 0, "the run ended well", answer.stderr[-3000:])
    log = next(sea.store.glob("runs/*/fit/log.txt")).read_text()
    story.check(newest.name in log, "the log names the damaged file", log[-2000:])
    voyage.check_whole(sea, story, lost=1)

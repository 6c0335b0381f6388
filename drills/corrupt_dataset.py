"""A file of the dataset changes after it was published."""

from drills import voyage
from drills.sandbox import FILE, Sandbox
from drills.story import Story

BREAKS = "one byte of a published Parquet file is flipped"
EXPECTS = "training refuses to read it and says which file; --fresh makes the dataset again, the same to the byte"


def drill(sea: Sandbox, story: Story) -> None:
    story.check(sea.run_file(FILE, *voyage.QUICK).returncode == 0, "a first run publishes the dataset")
    path = next(sea.store.glob("datasets/*/*/train/*.parquet"))
    good = path.read_bytes()
    with story.fault(f"flip a byte in {path.name}"):
        path.write_bytes(good[:-100] + bytes([good[-100] ^ 1]) + good[-99:])
        refused = sea.run_file(FILE, *voyage.QUICK, "--set", "steps.fit.params.seed=2")
        story.check(refused.returncode == 1 and path.name in refused.stderr, "a new training refuses the dataset and names the file", refused.stderr)
        story.check("--fresh" in refused.stderr, "the message says what to do")
        again = sea.run_file(FILE, *voyage.QUICK, "--fresh")
        story.check(again.returncode == 0, "--fresh makes it again", again.stderr)
        story.rows_lost += path.read_bytes() != good
        story.check(path.read_bytes() == good, "the same bytes as before")
    story.check(sea.json("data", "verify", "tiny")["verified"], "`seatrial data verify` agrees")
    voyage.check_clean(sea, story)

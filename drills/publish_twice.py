"""Two runs publish the same dataset at the same time."""

from drills import voyage
from drills.sandbox import FILE, Sandbox, free_port
from drills.story import Story

BREAKS = "the same job file is run twice at once, in one store"
EXPECTS = "both end well; there is one dataset, whole, and one registered version"


def drill(sea: Sandbox, story: Story) -> None:
    with story.fault("start the same run twice"):
        clients = [sea.start("run", FILE, "--set", f"targets.local.port={port}", "--fresh", *voyage.QUICK) for port in (sea.port, free_port())]
        ended = [client.communicate(timeout=280)[1] for client in clients]
        codes = [client.returncode for client in clients]
        story.check(codes == [0, 0], "both ended well", "\n".join(ended)[-4000:])
    manifests = list(sea.store.glob("datasets/*/*/manifest.json"))
    story.check(len(manifests) == 1, "one dataset was published", manifests)
    story.check(sea.json("data", "verify", "tiny")["verified"], "`seatrial data verify` finds every byte")
    versions = sea.json("models", "list")
    story.check(len(versions) == 1, "equal bundles are one version", versions)
    voyage.check_clean(sea, story)

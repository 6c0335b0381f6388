"""A training pod is gone without a word, as when its machine loses power."""

from drills.on_kubernetes.harbour import Harbour
from drills.story import Story

BREAKS = "one of two training pods is deleted at once, without its grace"
EXPECTS = "the operator makes another pod and training goes on from the last checkpoint; nobody types a command"


def drill(harbour: Harbour, story: Story) -> None:
    job = harbour.trained_to(3, "steps.fit.params.seed=11")
    victim = harbour.pods(job["run"], **{"ray.io/node-type": "worker"})[0]["metadata"]["name"]
    reached = harbour.epoch(job["run"])
    with story.fault(f"delete the pod {victim} at epoch {reached}"):
        harbour.kubectl("delete", "pod", victim, "--grace-period=0", "--force", "--wait=false")
        story.check(harbour.ends_well(job["handle"]), "the job ended well", harbour.doctor(job["handle"]))
    resumed = harbour.resumed(job["run"])
    story.check(resumed and max(resumed) >= reached - 1, f"it went on after epoch {max(resumed, default=0)}, not from the beginning", resumed)

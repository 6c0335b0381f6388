"""A job names an image that no node can have."""

from drills.on_kubernetes.harbour import Harbour, wait_until
from drills.story import Story

BREAKS = "a step is submitted with an image that does not exist"
EXPECTS = "doctor names the image; the job is stopped; the same step with the right image runs"


def drill(harbour: Harbour, story: Story) -> None:
    wrong = "seatrial-spark:no-such-tag"
    with story.fault(f"submit with the image {wrong}"):
        job = harbour.submit("prepare", f"targets.kubernetes.images.spark={wrong}", "targets.kubernetes.images.pull_policy=IfNotPresent")
        wait_until(lambda: "image" in harbour.doctor(job["handle"]), lambda: harbour.doctor(job["handle"]), 300)
        told = harbour.doctor(job["handle"])
        story.check(wrong in told and "next:" in told, "doctor names the image and says what to do", told)
        story.check(harbour.sea.run("stop", job["handle"]).returncode == 0, "the job can be stopped")
        right = harbour.submit("prepare")
        story.check(harbour.ends_well(right["handle"]), "the same step with the right image ended well", harbour.doctor(right["handle"]))

"""A node is drained for maintenance under a training, and comes back."""

from drills.on_kubernetes.harbour import Harbour, wait_until
from drills.story import Story

BREAKS = "the node of a training pod is cordoned and this training's pods are evicted, as `kubectl drain` does"
EXPECTS = "the pods wait for a node, are placed when one is there, and training goes on from the last checkpoint"


def drill(harbour: Harbour, story: Story) -> None:
    job = harbour.trained_to(3, "steps.fit.params.seed=12")
    pods = harbour.pods(job["run"], **{"ray.io/node-type": "worker"})
    node, reached = pods[0]["spec"]["nodeName"], harbour.epoch(job["run"])
    with story.fault(f"drain the node {node} of the training's pods at epoch {reached}"):
        try:
            harbour.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", f"--pod-selector=seatrial.dev/run={job['run']}", "--timeout=300s")
            wait_until(lambda: "pods" in harbour.doctor(job["handle"]) or harbour.pods(job["run"]), lambda: harbour.doctor(job["handle"]))
            story.say(harbour.doctor(job["handle"]).strip().splitlines()[0])
        finally:
            harbour.kubectl("uncordon", node)
        story.check(harbour.ends_well(job["handle"]), "the job ended well", harbour.doctor(job["handle"]))
    story.check(harbour.resumed(job["run"]), "it went on from a checkpoint", harbour.log(job["handle"])[-2000:])

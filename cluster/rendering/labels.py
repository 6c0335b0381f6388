"""Labels and annotations: Kubernetes' recommended ones, and those by which Seatrial finds its objects again.

The queue's label belongs on the object that Kueue admits, never on its pods.
"""

from __future__ import annotations

from typing import Any

from cluster.names import label_value
from jobs.contracts.job import Job
from jobs.control.spec import KubernetesTarget

MANAGED = {"app.kubernetes.io/part-of": "seatrial", "app.kubernetes.io/managed-by": "seatrial"}
RUN, STEP, PIPELINE, FINGERPRINT = "seatrial.dev/run", "seatrial.dev/step", "seatrial.dev/pipeline", "seatrial.dev/fingerprint"
QUEUE = "kueue.x-k8s.io/queue-name"


def of_job(job: Job, image: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": label_value(job.pipeline),
        "app.kubernetes.io/instance": label_value(job.run),
        "app.kubernetes.io/component": job.kind,
        **version(image),
        **MANAGED,
        PIPELINE: label_value(job.pipeline),
        RUN: label_value(job.run),
        STEP: label_value(job.step),
    }


def version(image: str) -> dict[str, str]:
    """The image's tag: what really runs. An image by digest has none."""
    _, colon, tag = image.rsplit("/", 1)[-1].partition(":")
    return {"app.kubernetes.io/version": label_value(tag)} if colon and "@" not in image else {}


def metadata(settings: KubernetesTarget, name: str, labels: dict[str, str], digest: str = "") -> dict[str, Any]:
    """``digest`` tells two objects of the same name apart when a submit is repeated."""
    annotations = {"annotations": {FINGERPRINT: digest}} if digest else {}
    return {"name": name, "namespace": settings.namespace, "labels": labels, **annotations}


def queued(settings: KubernetesTarget, labels: dict[str, str]) -> dict[str, str]:
    """The labels of an object that Kueue starts when its turn comes."""
    return {**labels, QUEUE: settings.queue} if settings.queue else labels


def suspended(settings: KubernetesTarget) -> dict[str, bool]:
    """Kueue lifts this when it admits the job; without it the job would start before Kueue has seen it."""
    return {"suspend": True} if settings.queue else {}

"""One step to the objects that run it: which kind, in which order, and what cannot be said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cluster.names import object_name
from cluster.rendering import config_maps, environment, labels, plain_job, ray_job, spark_job
from cluster.rendering.places import Places
from cluster.rendering.pods import separate
from jobs.contracts.job import Job
from jobs.control.spec import Kind, KubernetesTarget, Step


def main_object(step: Step) -> tuple[str, str]:
    """(API version, kind) of the object whose end is the step's end."""
    return ("ray.io/v1", "RayJob") if _on_ray(step) else ("batch/v1", "Job")


def render(settings: KubernetesTarget, step: Step, job: Job, places: Places) -> tuple[dict[str, Any], ...]:
    """In the order of creation: what is mounted, how the driver is found, and last the main object."""
    name = object_name(job, places.attempt)
    image = settings.images.spark if step.kind == Kind.ETL else settings.images.ray
    told = {"job.json": job.model_dump_json(indent=1) + "\n"}
    if _on_spark(step):
        told |= spark_job.configuration(settings, step, job, name, places)
    found = (
        *([config_maps.code(settings, places.code_files)] if places.code_files is not None else []),
        config_maps.files(settings, name, told, labels.of_job(job, image), job.fingerprint),
        *([spark_job.service(settings, job, name)] if _on_spark(step) else []),
        _main(settings, step, job, name, places),
    )
    return tuple(map(separate, found))


def losses(step: Step, settings: KubernetesTarget | None = None) -> Iterator[str]:
    """What the job file asks and this target cannot express."""
    workers, one_pod = step.resources.max_workers, not (_on_ray(step) or _on_spark(step))
    if step.spot:
        yield "spot: Kubernetes has no word for it; name the interruptible nodes in targets.kubernetes.node_selector and tolerations"
    if step.resources.accelerator and not step.resources.gpu:
        yield "accelerator: no GPU is asked for, so its type is not used"
    if step.resources.gpu and step.kind == Kind.ETL:
        yield "gpu: Spark's pods get none; the features are computed on processors"
    if step.kind == Kind.ETL and one_pod and workers > 1:
        yield f"workers: the engine {environment.engine(step)} runs in one pod, with the cores and memory of all {workers} workers"
    elif one_pod and workers > 1:
        yield f"workers: a step of kind {step.kind} runs in one pod"
    if settings and _on_ray(step) and not isinstance(step.resources.workers, int) and not ray_job.is_elastic(settings, step):
        yield f"workers: Kueue admits a fixed number, so all {workers} are asked for"
    if settings and settings.queue and _on_spark(step):
        yield "queue: Kueue admits the driver; its executors are not counted"


def _main(settings: KubernetesTarget, step: Step, job: Job, name: str, places: Places) -> dict[str, Any]:
    if _on_ray(step):
        return ray_job.render(settings, step, job, name, places)
    if _on_spark(step):
        return spark_job.render(settings, step, job, name, places)
    return plain_job.render(settings, step, job, name, places)


def _on_ray(step: Step) -> bool:
    return step.on_ray


def _on_spark(step: Step) -> bool:
    """On executors; without workers Spark runs inside the step's own pod."""
    return step.kind == Kind.ETL and environment.engine(step) == environment.ENGINE and step.resources.max_workers > 0

"""A step in one pod: a ``batch/v1`` Job. Also what a Spark driver's Job has in common with it."""

from __future__ import annotations

from typing import Any

from cluster.rendering import environment, labels
from cluster.rendering.amounts import Amounts, mebibytes
from cluster.rendering.config_maps import step_mounts
from cluster.rendering.places import JOB_FILE, Places
from cluster.rendering.pods import Mount, container, pod_spec
from jobs.contracts.errors import EXIT_REQUEST
from jobs.contracts.job import Job
from jobs.control.backend import MODULES
from jobs.control.spec import Kind, KubernetesTarget, Step, seconds


def render(settings: KubernetesTarget, step: Step, job: Job, name: str, places: Places) -> dict[str, Any]:
    image = settings.images.spark if step.kind == Kind.ETL else settings.images.ray
    amounts = _amounts(step)
    mounts = step_mounts(settings, name, places)
    if step.kind == Kind.TRAIN:  # loaders hand over batches in shared memory, of which a pod has 64 MiB by default
        mounts.append(Mount("shm", "/dev/shm", {"emptyDir": {"medium": "Memory", "sizeLimit": f"{amounts.memory}Mi"}}))  # noqa: S108
    step_container = container(settings, "step", image, amounts, mounts, environment.of_step(settings, step, job, places), command=command(step))
    pod = pod_spec(settings, step_container, mounts, account=settings.service_account, accelerator=step.resources.accelerator)
    return wrap(settings, step, job, name, image, pod)


def command(step: Step) -> list[str]:
    return ["python", "-m", MODULES[step.kind], "--job", JOB_FILE]


def wrap(settings: KubernetesTarget, step: Step, job: Job, name: str, image: str, pod: dict[str, Any]) -> dict[str, Any]:
    """A Job around a pod: retries, time limit, clean-up and queue, as the job file says."""
    label = labels.of_job(job, image)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": labels.metadata(settings, name, labels.queued(settings, label), job.fingerprint),
        "spec": {
            **labels.suspended(settings),
            "backoffLimit": step.retries,
            "podFailurePolicy": fails_at_once(EXIT_REQUEST),
            # From admission on, waiting for a node and retries included.
            **({"activeDeadlineSeconds": seconds(step.time_limit)} if step.time_limit else {}),
            "ttlSecondsAfterFinished": seconds(settings.keep_finished),
            "template": {"metadata": {"labels": label}, "spec": pod},
        },
    }


def fails_at_once(*exit_codes: int) -> dict[str, Any]:
    """No retry for an answer that would be the same again."""
    return {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": list(exit_codes)}}]}


def _amounts(step: Step) -> Amounts:
    """Sail uses in one process what the job file gives to several workers."""
    wanted, together = step.resources, max(1, step.resources.max_workers) if step.kind == Kind.ETL else 1
    return Amounts(wanted.cpu * together, mebibytes(wanted.memory) * together, gpu=wanted.gpu)

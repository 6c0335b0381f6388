"""A step in one pod: a ``batch/v1`` Job. Also what a Spark driver's Job has in common with it.

A pipeline's driver (``seatrial run --detach``) is one too. It submits the steps, so its account may do what the backend does,
and it waits in no queue, where it could take the place of the very steps that it waits for.
"""

from __future__ import annotations

from typing import Any

from cluster.rendering import environment, labels
from cluster.rendering.amounts import Amounts, mebibytes
from cluster.rendering.config_maps import step_mounts
from cluster.rendering.places import JOB_FILE, Places
from cluster.rendering.pods import Mount, container, pod_spec
from jobs.contracts.errors import EXIT_FAILED, EXIT_REQUEST
from jobs.contracts.job import Job
from jobs.control.backend import MODULES
from jobs.control.spec import Kind, KubernetesTarget, Step, seconds

DRIVER_ACCOUNT = "seatrial-driver"  # the chart makes it
DRIVER_CORES = 0.1  # reserved; it waits beside the steps for which the node needs the room


def render(settings: KubernetesTarget, step: Step, job: Job, name: str, places: Places) -> dict[str, Any]:
    image = settings.images.spark if step.kind == Kind.ETL else settings.images.ray
    amounts = _amounts(step)
    mounts = step_mounts(settings, name, places)
    if step.trains:  # loaders hand over batches in shared memory, of which a pod has 64 MiB by default
        mounts.append(Mount("shm", "/dev/shm", {"emptyDir": {"medium": "Memory", "sizeLimit": f"{amounts.memory}Mi"}}))  # noqa: S108
    step_container = container(settings, "step", image, amounts, mounts, environment.of_step(settings, step, job, places), command=command(step))
    drives = step.kind == Kind.PIPELINE
    account = DRIVER_ACCOUNT if drives else settings.service_account
    pod = pod_spec(settings, step_container, mounts, account=account, token=drives, accelerator=step.resources.accelerator)
    return wrap(settings, step, job, name, image, pod)


def command(step: Step) -> list[str]:
    return ["python", "-m", MODULES[step.kind], "--job", JOB_FILE]


def wrap(settings: KubernetesTarget, step: Step, job: Job, name: str, image: str, pod: dict[str, Any]) -> dict[str, Any]:
    """A Job around a pod: retries, time limit, clean-up and queue, as the job file says."""
    label = labels.of_job(job, image)
    if step.kind == Kind.PIPELINE:
        settings = settings.model_copy(update={"queue": ""})
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": labels.metadata(settings, name, labels.queued(settings, label), job.fingerprint),
        "spec": {
            **labels.suspended(settings),
            "backoffLimit": step.retries,
            "podFailurePolicy": {"rules": [_fails_at_once(step)]},
            # From admission on, waiting for a node and retries included.
            **({"activeDeadlineSeconds": seconds(step.time_limit)} if step.time_limit else {}),
            "ttlSecondsAfterFinished": seconds(settings.keep_finished),
            "template": {"metadata": {"labels": label}, "spec": pod},
        },
    }


def _fails_at_once(step: Step) -> dict[str, Any]:
    """No retry for an answer that would be the same again: a wrong request, and a run whose steps have used up their own retries."""
    values = [EXIT_FAILED, EXIT_REQUEST] if step.kind == Kind.PIPELINE else [EXIT_REQUEST]
    return {"action": "FailJob", "onExitCodes": {"operator": "In", "values": values}}


def _amounts(step: Step) -> Amounts:
    """Sail uses in one process what the job file gives to several workers. A pipeline's driver only waits."""
    if step.kind == Kind.PIPELINE:
        return Amounts(DRIVER_CORES, mebibytes(step.resources.memory), cpu_limit=step.resources.cpu)
    wanted, together = step.resources, max(1, step.resources.max_workers) if step.kind == Kind.ETL else 1
    return Amounts(wanted.cpu * together, mebibytes(wanted.memory) * together, gpu=wanted.gpu)

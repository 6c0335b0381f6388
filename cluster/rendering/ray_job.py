"""Distributed training: a RayJob (``ray.io/v1``, KubeRay 1.7) with a Ray cluster of its own.

The step's process runs on the head, which trains nothing itself. Every try gets a new cluster and goes on from the
checkpoints in the step's folder, which lies in the store.
"""

from __future__ import annotations

from typing import Any

from cluster.rendering import environment, labels
from cluster.rendering.amounts import Amounts, mebibytes
from cluster.rendering.config_maps import step_mounts
from cluster.rendering.places import Places
from cluster.rendering.plain_job import command
from cluster.rendering.pods import CONTAINER_SECURITY, SCRATCH, container, pod_spec
from jobs.contracts.job import Job
from jobs.control.spec import KubernetesTarget, Step, seconds

RAY_VERSION = "2.60.0"  # of the image; KubeRay chooses probes and checks the token's support by it
# With this limit it ran a training's driver and Ray's own services without being killed; reserved, it would leave no room for the
# service on a node of 8 GB.
HEAD = Amounts(cpu=0.1, memory=1536, cpu_limit=2, memory_limit=3072)
SUBMITTER = Amounts(cpu=0.05, memory=512, cpu_limit=1)
AUTOSCALER = Amounts(cpu=0.1, memory=512, cpu_limit=0.5)
WORKER_OVERHEAD = 1024  # MiB of each worker for raylet, agents and object store
OBJECT_STORE = "150000000"  # bytes; training reads Parquet itself, so little passes through it
LINGER = 30  # seconds that a finished cluster stays, so that why a pod ended can still be read; longer would keep its GPUs from others


def render(settings: KubernetesTarget, step: Step, job: Job, name: str, places: Places) -> dict[str, Any]:
    label = labels.of_job(job, settings.images.ray)
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": labels.metadata(settings, name, labels.queued(settings, label), job.fingerprint),
        "spec": {
            **labels.suspended(settings),
            "entrypoint": " ".join(command(step)),
            "submissionMode": "K8sJobMode",  # the sidecar that KubeRay would add instead has no security context
            "submitterConfig": {"backoffLimit": 0},  # else a lost head would be waited for, and backoffLimit never used
            "submitterPodTemplate": _submitter(settings, label),
            "backoffLimit": step.retries,
            "preRunningDeadlineSeconds": seconds(settings.pending_limit),
            # Of each try, its start included.
            **({"activeDeadlineSeconds": seconds(step.time_limit)} if step.time_limit else {}),
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": min(LINGER, seconds(settings.keep_finished)),
            "rayClusterSpec": _cluster(settings, step, job, name, places, label),
        },
    }


def is_elastic(settings: KubernetesTarget, step: Step) -> bool:
    """Whether the number of workers changes while it trains; Kueue admits only a fixed number."""
    return not isinstance(step.resources.workers, int) and not settings.queue


def _cluster(settings: KubernetesTarget, step: Step, job: Job, name: str, places: Places, label: dict[str, str]) -> dict[str, Any]:
    mounts = step_mounts(settings, name, places)
    env = environment.of_step(settings, step, job, places, SEATRIAL_RAY_ADDRESS="auto", RAY_USAGE_STATS_ENABLED="0")
    elastic = is_elastic(settings, step)
    head = container(settings, "ray-head", settings.images.ray, HEAD, mounts, env)
    # The autoscaler runs beside the head and changes the cluster: KubeRay makes an account with just these rights, if none is named.
    account = "" if elastic else settings.service_account
    return {
        "rayVersion": RAY_VERSION,
        "authOptions": {"mode": "token"},
        **(_autoscaling(settings) if elastic else {}),
        "headGroupSpec": {
            "rayStartParams": {"num-cpus": "0", "object-store-memory": OBJECT_STORE},
            "template": {"metadata": {"labels": label}, "spec": pod_spec(settings, head, mounts, account=account, token=elastic, restart=_restart(elastic))},
        },
        "workerGroupSpecs": [_workers(settings, step, env, mounts, label, elastic)],
    }


def _workers(settings: KubernetesTarget, step: Step, env: Any, mounts: Any, label: dict[str, str], elastic: bool) -> dict[str, Any]:
    wanted = step.resources
    amounts = Amounts(wanted.cpu, mebibytes(wanted.memory) + WORKER_OVERHEAD, gpu=wanted.gpu)
    worker = container(settings, "ray-worker", settings.images.ray, amounts, mounts, env)
    pod = pod_spec(settings, worker, mounts, account=settings.service_account, accelerator=wanted.accelerator, restart=_restart(elastic))
    # KubeRay submits once all replicas run: an elastic group starts with the least, and the autoscaler adds what Ray Train asks for.
    least = wanted.workers.min if elastic and not isinstance(wanted.workers, int) else wanted.max_workers
    return {
        "groupName": "gpu" if wanted.gpu else "cpu",
        "replicas": least,
        "minReplicas": least,
        "maxReplicas": wanted.max_workers,
        "rayStartParams": {"num-cpus": str(max(1, int(wanted.cpu))), "object-store-memory": OBJECT_STORE},
        "template": {"metadata": {"labels": label}, "spec": pod},
    }


def _restart(elastic: bool) -> str:
    """The autoscaler replaces pods itself; otherwise a worker's container comes back in place after the head did."""
    return "Never" if elastic else "Always"


def _autoscaling(settings: KubernetesTarget) -> dict[str, Any]:
    return {
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {
            "version": "v2",
            "idleTimeoutSeconds": 60,
            "imagePullPolicy": settings.images.pull_policy,
            "resources": AUTOSCALER.as_dict(),
            "securityContext": CONTAINER_SECURITY,
            "volumeMounts": [SCRATCH.mount()],
        },
    }


def _submitter(settings: KubernetesTarget, label: dict[str, str]) -> dict[str, Any]:
    """The pod that submits the step and follows its log. Without a command of ours, KubeRay's own is used."""
    env = environment.literals({"HOME": SCRATCH.path})
    only = container(settings, "ray-job-submitter", settings.images.ray, SUBMITTER, [SCRATCH], env)
    return {"metadata": {"labels": label}, "spec": pod_spec(settings, only, [SCRATCH], account=settings.service_account)}

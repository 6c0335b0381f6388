"""Pods beside the steps: one through which files reach a claim, and one that drives a pipeline from inside the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cluster.names import label_value
from cluster.rendering import config_maps, environment, labels
from cluster.rendering.amounts import Amounts
from cluster.rendering.places import CODE, STORE
from cluster.rendering.plain_job import fails_at_once
from cluster.rendering.pods import SCRATCH, container, pod_spec, separate
from jobs.contracts import fingerprint
from jobs.contracts.errors import EXIT_FAILED, EXIT_REQUEST
from jobs.control.spec import KubernetesTarget, seconds

STAGING = "staging"  # container through which files are sent
DRIVER_ACCOUNT = "seatrial-driver"  # may do in its namespace what the Kubernetes backend does
STAGING_LIFE = 3600  # seconds; ends a pod whose starter was killed before it could
DRIVER_RETRIES = 5  # of a driver that was killed or moved; it goes on where it stopped
_SMALL = Amounts(cpu=0.1, memory=256, cpu_limit=1)
_DRIVER = Amounts(cpu=0.1, memory=1024, cpu_limit=1)


def staging_pod(settings: KubernetesTarget, name: str) -> dict[str, Any]:
    """Waits with the store mounted; whoever made it deletes it, and it ends by itself after an hour."""
    mounts = [SCRATCH, *config_maps.store_mounts(settings)]
    env = environment.literals({"HOME": SCRATCH.path})
    only = container(settings, STAGING, settings.images.ray, _SMALL, mounts, env, command=["sleep", str(STAGING_LIFE)])
    # `sleep` as a container's first process takes no signal, so there is nothing to wait for.
    spec = {**pod_spec(settings, only, mounts, account=settings.service_account), "activeDeadlineSeconds": STAGING_LIFE, "terminationGracePeriodSeconds": 0}
    return separate({"apiVersion": "v1", "kind": "Pod", "metadata": labels.metadata(settings, name, _labels(settings, "staging")), "spec": spec})


def render_driver(settings: KubernetesTarget, name: str, run: str, argv: Sequence[str], files: Mapping[str, str]) -> tuple[dict[str, Any], ...]:
    """A Job that runs ``argv``, a ``seatrial run … --on kubernetes``, inside the cluster.

    ``files``: the job file and its code, relative path -> text; they lie in ``/seatrial/code``, the working directory.
    The run's record lies in the store, so that a driver that is started again goes on.
    """
    label = {**_labels(settings, "driver"), "app.kubernetes.io/instance": label_value(run), labels.RUN: label_value(run)}
    mounts = [SCRATCH, config_maps.code_mount(files), *config_maps.store_mounts(settings)]
    values = {"HOME": SCRATCH.path, "MLFLOW_TRACKING_URI": settings.tracking_uri, "SEATRIAL_HOME": STORE}
    only = container(settings, "driver", settings.images.ray, _DRIVER, mounts, environment.literals(values), command=_unexpanded(argv), workingDir=CODE)
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": labels.metadata(settings, name, label, fingerprint.of([run, *argv, dict(files)])),
        "spec": {
            "backoffLimit": DRIVER_RETRIES,
            "podFailurePolicy": fails_at_once(EXIT_FAILED, EXIT_REQUEST),
            "ttlSecondsAfterFinished": seconds(settings.keep_finished),
            "template": {"metadata": {"labels": label}, "spec": pod_spec(settings, only, mounts, account=DRIVER_ACCOUNT, token=True)},
        },
    }
    return config_maps.code(settings, files), separate(job)


def _unexpanded(argv: Sequence[str]) -> list[str]:
    return [word.replace("$", "$$") for word in argv]


def _labels(settings: KubernetesTarget, component: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": "seatrial", "app.kubernetes.io/component": component, **labels.version(settings.images.ray), **labels.MANAGED}

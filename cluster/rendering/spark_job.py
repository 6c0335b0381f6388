"""ETL on Apache Spark: the step's process is the driver, in client mode, and asks the API server for executors itself.

    Service    headless: executors find the driver by its name
    ConfigMap  job.json, spark-defaults.conf, executor.yaml (the executors' pod template)
    Job        the driver; its account may create, watch and delete pods

Executors belong to the driver's pod and go with it. The settings are those that a cluster under Pod Security
``restricted`` accepted: https://spark.apache.org/docs/latest/running-on-kubernetes.html#configuration
"""

from __future__ import annotations

import math
from typing import Any

import yaml

from cluster.rendering import environment, labels
from cluster.rendering.amounts import Amounts, cores, mebibytes, most
from cluster.rendering.config_maps import step_mounts
from cluster.rendering.places import JOB, Places
from cluster.rendering.plain_job import command, wrap
from cluster.rendering.pods import SCRATCH, Mount, container, pod_spec, separate
from jobs.contracts.job import Job
from jobs.control.spec import KubernetesTarget, Step, WorkerRange

DEFAULTS, TEMPLATE = "spark-defaults.conf", "executor.yaml"
DRIVER, EXECUTOR = "spark-driver", "spark-executor"  # container names
ENTRYPOINT = "/opt/entrypoint.sh"  # in the image: starts what Spark's own images start, from the variables that Spark sets
POD_NAME = "SEATRIAL_POD_NAME"
DRIVER_PORT, BLOCK_PORT = 7078, 7079
UI_PORT = 4040  # also answers Prometheus: /metrics/executors/prometheus tells of all executors
DRIVER_HEAP = 1024  # MiB; executors do the work
DRIVER_RESERVES = (0.1, 512)  # cores, and MiB beside the heap: it waits for its executors, and then describes the finished dataset
_DRIVER_CORES = 2  # that it may use when they are free
_HEAP_LEAST = 512  # MiB; Spark refuses less than 450
_OVERHEAD_LEAST, _OVERHEAD_SHARE = 384, 0.1  # MiB, and of the heap: Spark's own figures for what the JVM takes beside its heap
# The JVM does not compile methods as large as Spark generates unless told to; interpreted, the widest joins take twice as long.
_JVM = "-XX:-DontCompileHugeMethods -XX:+UseParallelGC"


def configuration(settings: KubernetesTarget, step: Step, job: Job, name: str, places: Places) -> dict[str, str]:
    """Files that lie beside job.json: file name -> text."""
    lines = [f"{key} {value}\n" for key, value in sorted(_confs(settings, step, name).items())]
    return {DEFAULTS: "".join(lines), TEMPLATE: yaml.safe_dump(separate(executor(settings, step, job, name, places)), sort_keys=False)}


def executor(settings: KubernetesTarget, step: Step, job: Job, name: str, places: Places) -> dict[str, Any]:
    """The executors' pod template. Spark adds image arguments, ports, memory and the addresses of the driver."""
    mounts = _executor_mounts(settings, name, places)
    env = environment.literals({"HOME": SCRATCH.path, "PYTHONPATH": places.code})
    heap = _heap(step)
    amounts = Amounts(step.resources.cpu, heap + _overhead(heap))
    only = container(settings, EXECUTOR, settings.images.spark, amounts, mounts, env, command=[ENTRYPOINT])
    pod = pod_spec(settings, only, mounts, account=settings.service_account)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": labels.of_job(job, settings.images.spark)}, "spec": pod}


def service(settings: KubernetesTarget, job: Job, name: str) -> dict[str, Any]:
    ports = [{"name": "driver", "port": DRIVER_PORT}, {"name": "blocks", "port": BLOCK_PORT}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": labels.metadata(settings, name, labels.of_job(job, settings.images.spark), job.fingerprint),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,  # the driver asks for executors before it could count as ready
            "selector": {"batch.kubernetes.io/job-name": name},
            "ports": ports,
        },
    }


def render(settings: KubernetesTarget, step: Step, job: Job, name: str, places: Places) -> dict[str, Any]:
    mounts = step_mounts(settings, name, places)
    env = environment.of_step(settings, step, job, places, SPARK_CONF_DIR=JOB)
    own_name = {"name": POD_NAME, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    amounts = _driver_amounts(step)
    ports = [{"name": "spark-ui", "containerPort": UI_PORT}]
    driver = container(settings, DRIVER, settings.images.spark, amounts, mounts, [*env, own_name], command=command(step), ports=ports)
    pod = pod_spec(settings, driver, mounts, account=settings.spark_service_account, token=True)
    return wrap(settings, step, job, name, settings.images.spark, pod)


def _driver_amounts(step: Step) -> Amounts:
    """Were all of it reserved, a laptop's only node would have no room for the executors."""
    cpu, beside = DRIVER_RESERVES
    jvm, most_beside = DRIVER_HEAP + _overhead(DRIVER_HEAP), mebibytes(step.resources.memory)
    return Amounts(min(cpu, step.resources.cpu), jvm + min(beside, most_beside), cpu_limit=_DRIVER_CORES, memory_limit=jvm + most_beside)


def _confs(settings: KubernetesTarget, step: Step, name: str) -> dict[str, str]:
    heap = _heap(step)
    facts = {
        "spark.master": "k8s://https://kubernetes.default.svc",
        "spark.submit.deployMode": "client",
        "spark.driver.host": f"{name}.{settings.namespace}.svc",
        "spark.driver.bindAddress": "0.0.0.0",  # noqa: S104 - of its own pod
        "spark.driver.port": str(DRIVER_PORT),
        "spark.driver.blockManager.port": str(BLOCK_PORT),
        "spark.blockManager.port": str(BLOCK_PORT),
        "spark.driver.memory": f"{DRIVER_HEAP}m",
        "spark.driver.extraJavaOptions": _JVM,
        "spark.executor.extraJavaOptions": _JVM,
        "spark.executor.cores": str(math.ceil(step.resources.cpu)),  # tasks at a time
        "spark.executor.memory": f"{heap}m",
        "spark.executor.memoryOverhead": f"{_overhead(heap)}m",
        "spark.local.dir": f"{SCRATCH.path}/spark",
        "spark.ui.enabled": "true",
        "spark.ui.port": str(UI_PORT),
        "spark.ui.killEnabled": "false",  # it has no login
        "spark.ui.prometheus.enabled": "true",
    }
    return {**facts, **_executors(step), **_cluster(settings, step)}


def _executors(step: Step) -> dict[str, str]:
    workers = step.resources.workers
    if not isinstance(workers, WorkerRange):
        return {"spark.executor.instances": str(workers)}
    return {
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",  # there is no external shuffle service on Kubernetes
        "spark.dynamicAllocation.minExecutors": str(workers.min),
        "spark.dynamicAllocation.maxExecutors": str(workers.max),
    }


def _cluster(settings: KubernetesTarget, step: Step) -> dict[str, str]:
    facts = {
        "namespace": settings.namespace,
        "container.image": settings.images.spark,
        "container.image.pullPolicy": settings.images.pull_policy,
        # Spark fills in the variable. With it executors are owned by the driver's pod, and no retry meets the names of an earlier try.
        "driver.pod.name": f"${{env:{POD_NAME}}}",
        "executor.podNamePrefix": f"${{env:{POD_NAME}}}",
        "executor.podTemplateFile": f"{JOB}/{TEMPLATE}",
        "executor.podTemplateContainerName": EXECUTOR,
        "executor.request.cores": cores(step.resources.cpu),
        "executor.limit.cores": cores(most(step.resources.cpu)),
        "authenticate.executor.serviceAccountName": settings.service_account,
        # Each of these would need a right that the driver's account has not: on configmaps, and on persistentvolumeclaims.
        "executor.disableConfigMap": "true",
        "driver.ownPersistentVolumeClaim": "false",
        "driver.reusePersistentVolumeClaim": "false",
    }
    return {f"spark.kubernetes.{key}": value for key, value in facts.items()}


def _executor_mounts(settings: KubernetesTarget, name: str, places: Places) -> list[Mount]:
    """As the driver's, but for the job: that is the driver's alone."""
    return [mount for mount in step_mounts(settings, name, places) if mount.name != "job"]


def _heap(step: Step) -> int:
    return max(_HEAP_LEAST, mebibytes(step.resources.memory))


def _overhead(heap: int) -> int:
    return max(_OVERHEAD_LEAST, math.ceil(heap * _OVERHEAD_SHARE))

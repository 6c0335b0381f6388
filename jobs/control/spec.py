"""The job file's schema: *what* to run, never where. One job is a pipeline of one step."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

API_VERSION = "seatrial/v1"
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def _dns_label(value: str) -> str:
    # Targets append the run id, and Kubernetes allows 63 characters in all.
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,28}[a-z0-9])?", value):
        raise ValueError("use a DNS label: lower-case letters, digits and hyphens, starting with a letter, at most 30 characters")
    return value


def seconds(value: str | int) -> int:
    """``"30m"`` to 1800; a bare number is seconds."""
    match = re.fullmatch(r"(\d+)([smhd]?)", str(value).strip())
    if not match or int(match[1]) == 0:
        raise ValueError('use a positive time such as "90s", "30m", "2h" or "1d"')
    return int(match[1]) * _SECONDS[match[2] or "s"]


def memory_bytes(value: str) -> int:
    """``"2Gi"`` to bytes, with Kubernetes' suffixes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T|)", value)
    if not match or float(match[1]) == 0:
        raise ValueError('use an amount of memory such as "512Mi" or "2Gi"')
    return int(float(match[1]) * _BYTES[match[2]])


def _checked(parse: Any) -> AfterValidator:
    """Keep the text as written (plans show it) but refuse what does not parse."""

    def check(value: str) -> str:
        parse(value)
        return value

    return AfterValidator(check)


def _matching(pattern: str, said: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(said)
        return value

    return AfterValidator(check)


Name = Annotated[str, AfterValidator(_dns_label)]
# Part of a variable's name and of a folder's.
PortName = Annotated[str, _matching(r"[a-z][a-z0-9_-]{0,62}", "use lower-case letters, digits, _ and -, starting with a letter")]
VariableName = Annotated[str, _matching(r"[A-Za-z_][A-Za-z0-9_]*", "use letters, digits and _, as for any environment variable")]
VariableValue = Annotated[str, _matching(r"[^\x00]*", "no NUL character can be in an environment variable")]
Duration = Annotated[str, BeforeValidator(str), _checked(seconds)]
Memory = Annotated[str, BeforeValidator(str), _checked(memory_bytes)]


class Kind(StrEnum):
    ETL = "etl"
    TRAIN = "train"
    TUNE = "tune"
    CROSS_VALIDATE = "cross-validate"
    EVALUATE = "evaluate"
    PREDICT = "predict"
    DEPLOY = "deploy"
    PIPELINE = "pipeline"  # a run's driver (`seatrial run --detach`); not for job files


TRAINING = frozenset({Kind.TRAIN, Kind.TUNE, Kind.CROSS_VALIDATE})  # kinds that run the training loop: on Ray when they have workers
_WITH_ENTRY = TRAINING | {Kind.ETL}


def _of_a_step(kind: Kind) -> Kind:
    if kind == Kind.PIPELINE:
        raise ValueError("a pipeline is a whole job file, not a step")
    return kind


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class WorkerRange(_Frozen):
    """Elastic training: start with what is free between the two, change when nodes come and go."""

    min: int = Field(ge=1)
    """Fewest workers to train with."""
    max: int = Field(ge=1)
    """Most workers to train with."""

    @model_validator(mode="after")
    def _ordered(self) -> WorkerRange:
        if self.min > self.max:
            raise ValueError("min is larger than max")
        return self


class Resources(_Frozen):
    """Per worker, except ``workers`` itself."""

    workers: Annotated[int, Field(ge=0, le=10_000)] | WorkerRange = 1
    """How many worker processes (pods, instances); 0 = in the step's own process; ``{min, max}`` = elastic."""
    cpu: float = Field(default=1, gt=0)
    """Processor cores of each worker."""
    memory: Memory = "2Gi"
    """Memory of each worker, with Kubernetes' suffixes."""
    gpu: int = Field(default=0, ge=0)
    """GPUs of each worker; 0 = CPU training."""
    accelerator: str = ""
    """Type of GPU, in the words of the target's node labels, e.g. ``A10G``; empty = any."""

    @property
    def max_workers(self) -> int:
        return self.workers if isinstance(self.workers, int) else self.workers.max


class Checkpoint(_Frozen):
    """When training saves enough of itself to go on after a kill."""

    every: Literal["epoch", "never"] = "epoch"
    """After every epoch, or never."""
    keep: int = Field(default=2, ge=1)
    """Newest checkpoints kept, besides the best one."""


class Step(_Frozen):
    """One job."""

    kind: Annotated[Kind, AfterValidator(_of_a_step)]
    """What the step does."""
    entry: str = Field(default="", pattern=r"^$|^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    """The workload's function, ``package.module:function``; its package lies below ``code``."""
    inputs: dict[PortName, str] = Field(default_factory=dict)
    """Name to an earlier output (``step.output``) or a location: a path beside this file, ``s3://``, ``abfss://``, ``pkg:package/folder``,
    a registered model ``models:/name@champion`` or ``models:/name/3``."""
    outputs: dict[PortName, Literal["dataset", "bundle", "report", "parameters", "predictions"]] = Field(default_factory=dict)
    """Name to type of what the step makes."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Handed to the step and to the entry; part of the fingerprint (except ``engine``)."""
    resources: Resources = Resources()
    """What each worker gets, and how many there are."""
    retries: int = Field(default=0, ge=0, le=100)
    """How often a failed or lost worker is started again, from the last checkpoint."""
    checkpoint: Checkpoint = Checkpoint()
    """When a training step saves its state."""
    time_limit: Duration | None = None
    """The step is stopped after this long: ``90s``, ``30m``, ``2h``."""
    spot: bool = False
    """Run on interruptible capacity where the target has it."""
    env: dict[VariableName, VariableValue] = Field(default_factory=dict)
    """Environment variables; never secrets."""
    secrets: dict[VariableName, str] = Field(default_factory=dict)
    """Environment variable to the *name* of a secret that the target holds; a value is never written here."""

    @model_validator(mode="after")
    def _entry_where_needed(self) -> Step:
        if self.kind in _WITH_ENTRY and not self.entry:
            raise ValueError(f'kind {self.kind} needs entry: "package.module:function"')
        if clash := [name for name in self.env if name.startswith("SEATRIAL_")]:
            raise ValueError(f"{clash[0]} is set by the target; choose another name")
        for names in (self.inputs, self.outputs):
            if len({name.replace("-", "_") for name in names}) < len(names):
                raise ValueError(f"two of {', '.join(names)} differ only in - and _, and would share one variable")
        return self

    @property
    def trains(self) -> bool:
        """Whether it runs the training loop."""
        return self.kind in TRAINING

    @property
    def on_ray(self) -> bool:
        """Whether Ray spreads it over its workers; without workers it runs in its own process."""
        return self.trains and self.resources.max_workers > 0


class LocalTarget(_Frozen):
    """This machine."""

    port: int = Field(default=8000, ge=1, le=65535)
    """Port of the served model, on loopback."""
    max_parallel: int = Field(default=2, ge=1)
    """Steps that run at once when they do not wait for each other."""


class RayTarget(_Frozen):
    """A running Ray cluster, reached by its Jobs API; its token is read from ``RAY_AUTH_TOKEN`` or ``RAY_AUTH_TOKEN_PATH``."""

    address: str = Field(default="http://127.0.0.1:8265", pattern=r"^https?://[^/\s]+$")
    """Address of the cluster's dashboard."""
    store: str = ""
    """Path or URI that this machine and every node of the cluster reach; empty = this machine's own store, for a cluster on it."""
    port: int = Field(default=8000, ge=1, le=65535)
    """Port of the served model, on the cluster's head."""


class Images(_Frozen):
    """Container images of the pods."""

    ray: str = "seatrial-ray:0.1.0"
    """For training, evaluation and deployment."""
    spark: str = "seatrial-spark:0.1.0"
    """For ETL: driver and executors."""
    pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    """When nodes ask the registry."""
    pull_secrets: tuple[str, ...] = ()
    """Names of the namespace's registry secrets."""


class KubernetesTarget(_Frozen):
    """A Kubernetes cluster with the chart and the KubeRay operator installed."""

    context: str = ""
    """Context of the kubeconfig; empty = the current one, or the pod's own cluster."""
    namespace: Name = "seatrial"
    """Where the chart was installed."""
    store: str = Field(default="pvc://seatrial-data", pattern=r"^(pvc|s3|abfss)://\S+$")
    """``pvc://<claim>``, mounted by every pod, or an ``s3://`` or ``abfss://`` location."""
    images: Images = Images()
    """Container images."""
    service_account: str = "default"
    """Of Ray pods and plain jobs; needs no rights."""
    spark_service_account: str = "seatrial-spark"
    """Of the Spark driver, which creates executors."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels that nodes of all pods must have."""
    gpu_node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels that nodes of GPU pods must have as well."""
    gpu_runtime_class: str = Field(default="", pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$", max_length=253)
    """RuntimeClass of GPU pods, such as ``nvidia``, where the nodes' default runtime has no GPU support."""
    tolerations: tuple[dict[str, Any], ...] = ()
    """Tolerations of all pods; GPU pods also tolerate ``nvidia.com/gpu``."""
    queue: str = ""
    """Kueue's LocalQueue; empty = no queueing."""
    pending_limit: Duration = "10m"
    """How long a job may wait before it runs."""
    keep_finished: Duration = "1h"
    """How long finished objects stay, so that their logs can be read."""
    service: str = "seatrial-serve-svc"
    """The Service behind which predictions are answered."""
    tracking_uri: str = "http://seatrial-mlflow:5000"
    """MLflow's address inside the cluster."""


class CloudImages(_Frozen):
    """Container images of a cloud's jobs: a name in your own registry, or a whole address."""

    ray: str = "seatrial-ray:0.1.0"
    """For training, evaluation and endpoints."""
    spark: str = "seatrial-spark:0.1.0"
    """For ETL."""


_METRICS = {
    "train:loss": r'"train_loss": ([0-9.eE+-]+)',
    "validation:loss": r'"validation_loss": ([0-9.eE+-]+)',
    "validation:auc": r'"validation_auc": ([0-9.eE+-]+)',
}


class SageMakerTarget(_Frozen):
    """Amazon SageMaker AI. The defaults are those of ``seatrial practice``; an account of your own needs ``role``."""

    region: str = Field(default="eu-west-1", pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    """Where everything runs."""
    role: str = Field(default="arn:aws:iam::123456789012:role/SeatrialPractice", pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$")
    """Role that jobs and endpoints run as; its account is the account of everything. Under practice, practice's own takes its place."""
    store: str = Field(default="", pattern=r"^$|^s3://[^/\s]+(/\S*)?$")
    """Where data, code and models lie; empty = ``s3://sagemaker-<region>-<account>/seatrial``."""
    images: CloudImages = CloudImages()
    """Container images; a bare name lies in the ECR of the account and region."""
    instance: str = ""
    """Type of the training instances; empty = the smallest known one with the step's cores, memory and GPUs."""
    processing_instance: str = ""
    """The same, for ETL and evaluation."""
    volume: Memory = "30Gi"
    """Disk of each instance."""
    input_mode: Literal["File", "FastFile"] = "File"
    """Training data is copied to each instance first, or read through as it is opened."""
    spot_wait: Duration = "1h"
    """How long a spot job may wait for capacity, in all, beyond its time limit."""
    subnets: tuple[str, ...] = ()
    """Of your VPC, together with ``security_groups``; empty = SageMaker's own network."""
    security_groups: tuple[str, ...] = ()
    """Of your VPC."""
    encrypt_traffic: bool = False
    """Encrypt what training instances send each other; slower."""
    kms_key: str = ""
    """Key for volumes and outputs; empty = Amazon's."""
    tags: dict[str, str] = Field(default_factory=dict)
    """Tags of everything that is created."""
    metrics: dict[str, str] = Field(default=_METRICS)
    """Metric to the expression that finds it in the log: what the console draws."""
    package_group: str = ""
    """Model package group to register in; empty = the pipeline's name."""
    endpoint: str = ""
    """Name of the endpoint; empty = the pipeline's name."""
    endpoint_instance: str = "ml.m5.large"
    """Type of the endpoint's instances."""
    endpoint_instances: int = Field(default=1, ge=1)
    """How many answer."""
    endpoint_max_instances: int = Field(default=0, ge=0)
    """Above ``endpoint_instances``: scale up to so many."""
    endpoint_requests: int = Field(default=1000, ge=1)
    """Requests per instance and minute at which an endpoint grows."""


class AzureMLTarget(_Frozen):
    """An Azure Machine Learning workspace. The defaults are those of ``seatrial practice``."""

    subscription: str = Field(default="00000000-0000-0000-0000-000000000000", pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")
    """Id of the subscription. Under practice, practice's own takes its place, as for the next two."""
    resource_group: str = "practice"
    """Resource group of the workspace."""
    workspace: str = "practice"
    """Name of the workspace."""
    store: str = Field(default="azureml://datastores/workspaceblobstore/paths/seatrial", pattern=r"^azureml://datastores/[A-Za-z0-9_]+/paths/\S+$")
    """Where data, code and models lie: a folder of a blob datastore of the workspace."""
    images: CloudImages = CloudImages()
    """Container images; a bare name lies in ``registry``."""
    registry: str = ""
    """Address of the container registry, e.g. ``team.azurecr.io``; practice needs none."""
    compute: str = ""
    """Compute cluster of the jobs; empty = serverless compute."""
    gpu_compute: str = ""
    """The same for steps with GPUs; empty = ``compute``."""
    instance: str = ""
    """Type of serverless machines; empty = the smallest known one with the step's cores, memory and GPUs."""
    identity: Literal["", "managed", "user_identity"] = ""
    """As whom jobs reach data; empty = the workspace's own way."""
    shared_memory: Memory = "2Gi"
    """``/dev/shm`` of each container."""
    tags: dict[str, str] = Field(default_factory=dict)
    """Tags of everything that is created."""
    model: str = ""
    """Name of the registered model; empty = the pipeline's name."""
    endpoint: str = ""
    """Name of the online endpoint, unique in its region; empty = the pipeline's name."""
    endpoint_instance: str = "Standard_DS3_v2"
    """Type of the endpoint's machines."""
    endpoint_instances: int = Field(default=1, ge=1)
    """How many answer."""


class Targets(_Frozen):
    """What only one target needs to know."""

    local: LocalTarget = LocalTarget()
    """This machine."""
    ray: RayTarget = RayTarget()
    """A running Ray cluster."""
    kubernetes: KubernetesTarget = KubernetesTarget()
    """A Kubernetes cluster."""
    sagemaker: SageMakerTarget = SageMakerTarget()
    """Amazon SageMaker AI."""
    azureml: AzureMLTarget = AzureMLTarget()
    """An Azure Machine Learning workspace."""


class Pipeline(_Frozen):
    """A job file."""

    api_version: Literal["seatrial/v1"] = Field(alias="apiVersion")
    """Version of this schema."""
    name: Name
    """Names the runs, the dataset's folder and the registered model."""
    code: str = "."
    """Folder, relative to this file, whose packages are importable in every process of every target."""
    steps: dict[Name, Step] = Field(min_length=1)
    """In any order: a step starts when its inputs are there."""
    targets: Targets = Targets()
    """Settings of single targets."""

    @model_validator(mode="after")
    def _references_lead_somewhere(self) -> Pipeline:
        for name, step in self.steps.items():
            for value in step.inputs.values():
                source, _, output = value.partition(".")
                if source in self.steps and output not in self.steps[source].outputs:
                    known = ", ".join(f"{source}.{each}" for each in self.steps[source].outputs) or "none"
                    raise ValueError(f"step {name!r} wants {value!r}, but the outputs of {source!r} are: {known}")
        self.order()
        return self

    def sources(self, step: str) -> dict[str, tuple[str, str]]:
        """Inputs of a step that come from earlier ones: input name -> (step, output)."""
        found = {}
        for name, value in self.steps[step].inputs.items():
            source, _, output = value.partition(".")
            if source in self.steps:
                found[name] = (source, output)
        return found

    def order(self) -> list[str]:
        """Step names, each after those it needs; among equals, as written.

        Errors: ValueError that names a circle.
        """
        done: list[str] = []
        waiting = list(self.steps)
        while waiting:
            ready = [name for name in waiting if all(source in done for source, _ in self.sources(name).values())]
            if not ready:
                raise ValueError(f"these steps wait for each other: {', '.join(waiting)}")
            done += ready
            waiting = [name for name in waiting if name not in ready]
        return done

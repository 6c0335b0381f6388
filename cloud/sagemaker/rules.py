"""Rules of SageMaker's documentation that its model cannot say: which fields go together. Pure; one sentence per violation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_ECR = re.compile(r"\d{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/.+")
_PROCESSING = "/opt/ml/processing/"
_DAY = 86_400
_LONGEST_TRAINING = 28 * _DAY  # seconds: CreateTrainingJob's StoppingCondition
_VOLUME = 16_384  # GiB


def violations(operation: str, params: Mapping[str, Any], region: str = "") -> list[str]:
    """What is wrong with a request that the model accepts; empty when nothing is known to be. ``region``: where it would be sent."""
    found = list(_RULES[operation](params)) if operation in _RULES else []
    return found + list(_images(params, region))


def _training(params: Mapping[str, Any]) -> Iterator[str]:
    yield from _stopping(params)
    yield from _twice((channel.get("ChannelName") for channel in params.get("InputDataConfig", ())), "channel")
    algorithm = params.get("AlgorithmSpecification", {})
    if ("TrainingImage" in algorithm) == ("AlgorithmName" in algorithm):
        yield "AlgorithmSpecification: give either TrainingImage or AlgorithmName"
    resources = params.get("ResourceConfig", {})
    if "InstanceGroups" in resources and ("InstanceType" in resources or "InstanceCount" in resources):
        yield "ResourceConfig: InstanceGroups excludes InstanceType and InstanceCount"
    if "InstanceGroups" not in resources and resources.get("InstanceCount", 0) < 1:
        yield "ResourceConfig.InstanceCount must be at least 1"
    if resources.get("VolumeSizeInGB", 1) < 1 or resources.get("VolumeSizeInGB", 1) > _VOLUME:
        yield f"ResourceConfig.VolumeSizeInGB must be from 1 to {_VOLUME}"
    if params.get("EnableManagedSpotTraining") and resources.get("KeepAlivePeriodInSeconds"):
        yield "ResourceConfig.KeepAlivePeriodInSeconds: warm pools are not for managed spot training"
    for channel in params.get("InputDataConfig", ()):
        if len(channel.get("DataSource", {})) != 1:
            yield f"channel {channel.get('ChannelName')}: DataSource must name exactly one source"
    if len(params.get("HyperParameters", {})) > 100:
        yield "HyperParameters: at most 100"
    yield from _twice((metric.get("Name") for metric in algorithm.get("MetricDefinitions", ())), "metric")


def _stopping(params: Mapping[str, Any]) -> Iterator[str]:
    condition = params.get("StoppingCondition", {})
    longest, waits = condition.get("MaxRuntimeInSeconds", _DAY), condition.get("MaxWaitTimeInSeconds")
    if longest > _LONGEST_TRAINING:
        yield f"StoppingCondition.MaxRuntimeInSeconds must be at most {_LONGEST_TRAINING} (28 days)"
    if params.get("EnableManagedSpotTraining"):
        if waits is None:
            yield "EnableManagedSpotTraining needs StoppingCondition.MaxWaitTimeInSeconds"
        elif waits < longest:
            yield f"StoppingCondition.MaxWaitTimeInSeconds ({waits}) must be at least MaxRuntimeInSeconds ({longest})"
    elif waits is not None:
        yield "StoppingCondition.MaxWaitTimeInSeconds is only for EnableManagedSpotTraining"


def _processing(params: Mapping[str, Any]) -> Iterator[str]:
    inputs, outputs = params.get("ProcessingInputs", ()), params.get("ProcessingOutputConfig", {}).get("Outputs", ())
    yield from _twice((each.get("InputName") for each in inputs), "input")
    yield from _twice((each.get("OutputName") for each in outputs), "output")
    local = [(each["InputName"], each["S3Input"]["LocalPath"]) for each in inputs if "LocalPath" in each.get("S3Input", {})]
    local += [(each["OutputName"], each["S3Output"]["LocalPath"]) for each in outputs if "LocalPath" in each.get("S3Output", {})]
    for name, path in local:
        if not path.startswith(_PROCESSING):
            yield f"{name}: LocalPath {path} must lie below {_PROCESSING}"
    yield from _twice((path for _, path in local), "LocalPath")
    for each in inputs:
        if "S3Input" in each and "LocalPath" not in each["S3Input"] and not each.get("AppManaged"):
            yield f"{each.get('InputName')}: LocalPath is needed unless AppManaged is true"
        if ("S3Input" in each) == ("DatasetDefinition" in each):
            yield f"{each.get('InputName')}: give either S3Input or DatasetDefinition"


def _model(params: Mapping[str, Any]) -> Iterator[str]:
    if ("PrimaryContainer" in params) == ("Containers" in params):
        yield "give either PrimaryContainer or Containers"
    containers = params.get("Containers") or [params.get("PrimaryContainer", {})]
    for container in containers:
        if "ModelDataUrl" in container and "ModelDataSource" in container:
            yield "a container has either ModelDataUrl or ModelDataSource"
        if ("Image" in container) == ("ModelPackageName" in container):
            yield "a container has either Image or ModelPackageName"
        source = container.get("ModelDataSource", {}).get("S3DataSource", {})
        if source.get("S3DataType") == "S3Prefix" and not source.get("S3Uri", "/").endswith("/"):
            yield f"ModelDataSource: the prefix {source['S3Uri']} must end with /"
        if source.get("S3DataType") == "S3Prefix" and source.get("CompressionType") == "Gzip":
            yield "ModelDataSource: a prefix cannot be Gzip; name the archive as S3Object"
        if container.get("ModelDataUrl", ".tar.gz").split("?")[0].endswith(".tar.gz") is False and container.get("Mode") != "MultiModel":
            yield f"ModelDataUrl {container['ModelDataUrl']} must be a .tar.gz archive"


def _endpoint_config(params: Mapping[str, Any]) -> Iterator[str]:
    variants = params.get("ProductionVariants", ())
    yield from _twice((variant.get("VariantName") for variant in variants), "variant")
    for variant in variants:
        name = variant.get("VariantName")
        if "ServerlessConfig" in variant and ("InstanceType" in variant or "InitialInstanceCount" in variant):
            yield f"variant {name}: ServerlessConfig excludes InstanceType and InitialInstanceCount"
        has_machines = "InstanceType" in variant and variant.get("InitialInstanceCount", 0) >= 1
        if not has_machines and not {"ServerlessConfig", "InstancePools"} & set(variant):
            yield f"variant {name}: needs InstanceType and an InitialInstanceCount of at least 1"
    if variants and not any(variant.get("InitialVariantWeight", 1.0) > 0 for variant in variants):
        yield "at least one variant needs an InitialVariantWeight above 0"


def _package(params: Mapping[str, Any]) -> Iterator[str]:
    if ("ModelPackageName" in params) == ("ModelPackageGroupName" in params):
        yield "give either ModelPackageName or ModelPackageGroupName"
    if "ModelPackageName" in params and "ModelApprovalStatus" in params:
        yield "ModelApprovalStatus is only for versioned packages (ModelPackageGroupName)"
    if "ModelPackageGroupName" in params and params.get("Tags"):
        yield "Tags belong to the group, not to a version"
    if not {"InferenceSpecification", "SourceAlgorithmSpecification", "SourceUri"} & set(params):
        yield "needs an InferenceSpecification, a SourceAlgorithmSpecification or a SourceUri"


def _tuning(params: Mapping[str, Any]) -> Iterator[str]:
    config = params.get("HyperParameterTuningJobConfig", {})
    limits = config.get("ResourceLimits", {})
    if limits.get("MaxParallelTrainingJobs", 1) > limits.get("MaxNumberOfTrainingJobs", 10**9):
        yield "ResourceLimits: MaxParallelTrainingJobs is larger than MaxNumberOfTrainingJobs"
    for kind in ("IntegerParameterRanges", "ContinuousParameterRanges"):
        for each in config.get("ParameterRanges", {}).get(kind, ()):
            if float(each.get("MinValue", 0)) > float(each.get("MaxValue", 0)):
                yield f"parameter {each.get('Name')}: MinValue is larger than MaxValue"


def _images(params: Mapping[str, Any], region: str) -> Iterator[str]:
    for image in _texts(params, ("TrainingImage", "ImageUri", "Image")):
        if region and (match := _ECR.fullmatch(image)) and match[1] != region:
            yield f"the image {image} lies in {match[1]}, and the request goes to {region}: SageMaker pulls only from its own region"


def _texts(value: Any, keys: tuple[str, ...]) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from (value[key] for key in keys if isinstance(value.get(key), str))
        value = list(value.values())
    if isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner, keys)


def _twice(names: Iterable[Any], what: str) -> Iterator[str]:
    listed = list(names)
    for name in sorted({str(name) for name in listed if listed.count(name) > 1}):
        yield f"two of the {what}s are called {name}"


_RULES = {
    "CreateTrainingJob": _training,
    "CreateProcessingJob": _processing,
    "CreateModel": _model,
    "CreateEndpointConfig": _endpoint_config,
    "CreateModelPackage": _package,
    "CreateHyperParameterTuningJob": _tuning,
}

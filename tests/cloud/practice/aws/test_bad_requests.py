"""Requests that the service rejects, with the code that it rejects them with; none of them leaves a trace."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud.practice.service import BUCKET, IMAGE, ROLE, Service, channel, processing, specification, training, transform, tuning, variant

MANY = {f"k{number}": "v" for number in range(101)}
SPOT = {"EnableManagedSpotTraining": True}
PLAIN = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/x", "LocalPath": "/opt/ml/processing/x"}


def changed(request: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A request with one value replaced; None takes it away."""
    request = copy.deepcopy(request)
    *parents, last = path.split(".")
    held = request
    for parent in parents:
        held = held[parent]
    if value is None:
        del held[last]
    else:
        held[last] = value
    return request


T, P, H = training("bad"), processing("bad"), tuning("bad")
X = transform("bad", "no-such-model", f"s3://{BUCKET}/x/")
BAD: dict[str, tuple[str, dict[str, Any], str]] = {
    "an instance type that does not exist": ("create_training_job", changed(T, "ResourceConfig.InstanceType", "ml.z9.mega"), "enum value set"),
    "an input mode that does not exist": ("create_training_job", changed(T, "AlgorithmSpecification.TrainingInputMode", "Files"), "enum value set"),
    "a name with an underscore": ("create_training_job", changed(T, "TrainingJobName", "bad_name"), "regular expression pattern"),
    "a name that is too long": ("create_training_job", changed(T, "TrainingJobName", "a" * 64), "length less than or equal to 63"),
    "a role that is no ARN": ("create_training_job", changed(T, "RoleArn", "admin-role-of-mine-here"), "regular expression pattern"),
    "a role that does not exist": ("create_training_job", changed(T, "RoleArn", ROLE + "2"), "Could not assume role"),
    "an output that is no address": ("create_training_job", changed(T, "OutputDataConfig.S3OutputPath", "out"), "regular expression pattern"),
    "a bucket that does not exist": ("create_training_job", changed(T, "OutputDataConfig.S3OutputPath", "s3://no-such-bucket/x"), "does not exist"),
    "no role": ("create_training_job", changed(T, "RoleArn", None), "must not be null"),
    "no output": ("create_training_job", changed(T, "OutputDataConfig", None), "must not be null"),
    "no algorithm": ("create_training_job", changed(T, "AlgorithmSpecification.TrainingImage", None), "exactly one of"),
    "an unknown image": ("create_training_job", changed(T, "AlgorithmSpecification.TrainingImage", "nobody:1"), "Unable to find image"),
    "no instances": ("create_training_job", changed(T, "ResourceConfig.InstanceCount", 0), "at least 1"),
    "a negative count": ("create_training_job", changed(T, "ResourceConfig.InstanceCount", -1), "greater than or equal to 0"),
    "no runtime": ("create_training_job", changed(T, "StoppingCondition.MaxRuntimeInSeconds", 0), "greater than or equal to 1"),
    "spot without a wait": ("create_training_job", {**T, **SPOT}, "MaxWaitTimeInSeconds is required"),
    "a wait that is shorter than the runtime": (
        "create_training_job",
        {**T, **SPOT, "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 30}},
        "greater than or equal to MaxRuntimeInSeconds",
    ),
    "a wait without spot": (
        "create_training_job",
        {**T, "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90}},
        "only allowed when EnableManagedSpotTraining",
    ),
    "too many hyperparameters": ("create_training_job", {**T, "HyperParameters": MANY}, "length less than or equal to 100"),
    "a hyperparameter that is too long": ("create_training_job", {**T, "HyperParameters": {"x": "y" * 2501}}, "length less than or equal to 2500"),
    "an environment value that is too long": ("create_training_job", {**T, "Environment": {"x": "y" * 513}}, "length less than or equal to 512"),
    "an argument that is too long": (
        "create_training_job",
        changed(T, "AlgorithmSpecification.ContainerArguments", ["y" * 257]),
        "length less than or equal to 256",
    ),
    "two channels of one name": ("create_training_job", {**T, "InputDataConfig": [channel("a", f"s3://{BUCKET}/x")] * 2}, "Duplicate channel names"),
    "a channel without a type": (
        "create_training_job",
        {**T, "InputDataConfig": [{"ChannelName": "a", "DataSource": {"S3DataSource": {"S3Uri": f"s3://{BUCKET}/x"}}}]},
        "must not be null",
    ),
    "an input outside of processing": (
        "create_processing_job",
        {**P, "ProcessingInputs": [{"InputName": "a", "S3Input": {**PLAIN, "S3InputMode": "File", "LocalPath": "/opt/ml/x"}}]},
        "must be under /opt/ml/processing",
    ),
    "two inputs of one name": (
        "create_processing_job",
        {**P, "ProcessingInputs": [{"InputName": "a", "S3Input": {**PLAIN, "S3InputMode": "File"}}] * 2},
        "Duplicate input names",
    ),
    "a processing image that is unknown": ("create_processing_job", changed(P, "AppSpecification.ImageUri", "nobody:1"), "Unable to find image"),
    "a disk of nothing": ("create_processing_job", changed(P, "ProcessingResources.ClusterConfig.VolumeSizeInGB", 0), "greater than or equal to 1"),
    "a transform of no model": ("create_transform_job", X, "Could not find model"),
    "a strategy that does not exist": ("create_hyper_parameter_tuning_job", changed(H, "HyperParameterTuningJobConfig.Strategy", "Luck"), "enum value set"),
    "a metric that nobody defines": (
        "create_hyper_parameter_tuning_job",
        changed(H, "HyperParameterTuningJobConfig.HyperParameterTuningJobObjective.MetricName", "auc"),
        "not among the metric definitions",
    ),
    "more jobs at once than jobs": (
        "create_hyper_parameter_tuning_job",
        changed(H, "HyperParameterTuningJobConfig.ResourceLimits.MaxParallelTrainingJobs", 3),
        "must not be greater than",
    ),
    "a range upside down": (
        "create_hyper_parameter_tuning_job",
        changed(H, "HyperParameterTuningJobConfig.ParameterRanges.ContinuousParameterRanges", [{"Name": "x", "MinValue": "2", "MaxValue": "1"}]),
        "must be less than",
    ),
    "a grid of numbers": ("create_hyper_parameter_tuning_job", changed(H, "HyperParameterTuningJobConfig.Strategy", "Grid"), "categorical parameters only"),
    "a tuning name of 33 characters": ("create_hyper_parameter_tuning_job", {**H, "HyperParameterTuningJobName": "a" * 33}, "less than or equal to 32"),
    "a model without a container": ("create_model", {"ModelName": "bad", "ExecutionRoleArn": ROLE}, "exactly one of"),
    "a model of an unknown image": (
        "create_model",
        {"ModelName": "bad", "ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": "nobody:1"}},
        "Unable to find image",
    ),
    "a model of a package that does not exist": (
        "create_model",
        {"ModelName": "bad", "ExecutionRoleArn": ROLE, "PrimaryContainer": {"ModelPackageName": "arn:aws:sagemaker:eu-west-1:123456789012:model-package/a/1"}},
        "does not exist",
    ),
    "a variant of no model": ("create_endpoint_config", {"EndpointConfigName": "bad", "ProductionVariants": [variant("a", "nobody")]}, "Could not find model"),
    "no variants": ("create_endpoint_config", {"EndpointConfigName": "bad", "ProductionVariants": []}, "length greater than or equal to 1"),
    "a negative weight": (
        "create_endpoint_config",
        {"EndpointConfigName": "bad", "ProductionVariants": [variant("a", "nobody", -1.0)]},
        "greater than or equal to 0",
    ),
    "an endpoint of no configuration": ("create_endpoint", {"EndpointName": "bad", "EndpointConfigName": "nobody"}, "Could not find endpoint configuration"),
    "a package of no group": ("create_model_package", {"ModelPackageGroupName": "nobody", "InferenceSpecification": specification()}, "does not exist"),
    "a package of nothing": ("create_model_package", {"ModelPackageGroupName": "nobody"}, "InferenceSpecification is required"),
    "an approval that does not exist": (
        "update_model_package",
        {"ModelPackageArn": "arn:aws:sagemaker:eu-west-1:123456789012:model-package/a/1", "ModelApprovalStatus": "Perhaps"},
        "enum value set",
    ),
    "a page of nothing": ("list_training_jobs", {"MaxResults": 0}, "greater than or equal to 1"),
    "a token that we did not give": ("list_training_jobs", {"NextToken": "b"}, "Invalid NextToken"),
}


@pytest.mark.parametrize("what", list(BAD))
def test_bad_request(service: Service, what: str) -> None:
    method, request, words = BAD[what]
    client = service.client()
    before = counted(client)
    with pytest.raises(ClientError) as error:
        getattr(client, method)(**request)
    assert error.value.response["Error"]["Code"] == "ValidationException"
    assert words in error.value.response["Error"]["Message"]
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert counted(client) == before


def counted(client: Any) -> list[int]:
    look: list[tuple[Callable[..., Any], str]] = [
        (client.list_training_jobs, "TrainingJobSummaries"),
        (client.list_processing_jobs, "ProcessingJobSummaries"),
        (client.list_hyper_parameter_tuning_jobs, "HyperParameterTuningJobSummaries"),
        (client.list_models, "Models"),
        (client.list_endpoint_configs, "EndpointConfigs"),
    ]
    return [len(call(NameContains="bad")[key]) for call, key in look]


def test_there_are_enough_of_them_and_the_requests_are_good_without_their_fault(service: Service) -> None:
    assert len(BAD) >= 30
    assert IMAGE in service.practice.images.names()
    service.client().create_processing_job(**{**P, "ProcessingJobName": "good"})
    service.client().create_training_job(**{**T, "TrainingJobName": "good"})
    service.client().create_hyper_parameter_tuning_job(**{**H, "HyperParameterTuningJobName": "good"})

"""Requests that botocore would send and the service refuse: each is found here, by the model or by a rule of the documentation."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from cloud.sagemaker import rules, strict

ROLE = "arn:aws:iam::123456789012:role/SeatrialPractice"
TRAINING: dict[str, Any] = {
    "TrainingJobName": "job-1",
    "AlgorithmSpecification": {"TrainingImage": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a:1", "TrainingInputMode": "File"},
    "RoleArn": ROLE,
    "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/data/"}}}],
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
}
PROCESSING: dict[str, Any] = {
    "ProcessingJobName": "job-1",
    "ProcessingInputs": [
        {"InputName": "raw", "S3Input": {"S3Uri": "s3://b/raw", "LocalPath": "/opt/ml/processing/raw", "S3DataType": "S3Prefix", "S3InputMode": "File"}}
    ],
    "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30}},
    "AppSpecification": {"ImageUri": "a:1"},
    "RoleArn": ROLE,
}
CONFIG: dict[str, Any] = {
    "EndpointConfigName": "c",
    "ProductionVariants": [{"VariantName": "a", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}],
}
MODEL: dict[str, Any] = {"ModelName": "m", "PrimaryContainer": {"Image": "a:1", "ModelDataUrl": "s3://b/model.tar.gz"}, "ExecutionRoleArn": ROLE}
PACKAGE: dict[str, Any] = {"ModelPackageGroupName": "g", "SourceUri": "s3://b/x"}
BASES = {"CreateTrainingJob": TRAINING, "CreateProcessingJob": PROCESSING, "CreateEndpointConfig": CONFIG, "CreateModel": MODEL, "CreateModelPackage": PACKAGE}
CHANNEL = TRAINING["InputDataConfig"][0]
VARIANT = CONFIG["ProductionVariants"][0]
INPUT = PROCESSING["ProcessingInputs"][0]
GONE = object()

# Operation, path of what is changed, its new value, what must be said of it.
BAD: list[tuple[str, str, Any, str]] = [
    ("CreateTrainingJob", "TrainingJobName", "bad_name!!", "regular expression"),
    ("CreateTrainingJob", "TrainingJobName", "a" * 64, "less than or equal to 63"),
    ("CreateTrainingJob", "TrainingJobName", GONE, "must not be null"),
    ("CreateTrainingJob", "TrainingJobNam", "x", "Unknown parameter"),
    ("CreateTrainingJob", "RoleArn", "arn:aws:iam::123:role/x", "at 'RoleArn'"),
    ("CreateTrainingJob", "RoleArn", "not-an-arn-of-any-role", "regular expression"),
    ("CreateTrainingJob", "ResourceConfig.InstanceType", "ml.z9.mega", "enum value set"),
    ("CreateTrainingJob", "ResourceConfig.InstanceCount", "1", "must be of type integer"),
    ("CreateTrainingJob", "ResourceConfig.InstanceCount", True, "must be of type integer"),
    ("CreateTrainingJob", "ResourceConfig.InstanceCount", -1, "greater than or equal to 0"),
    ("CreateTrainingJob", "ResourceConfig.InstanceCount", 0, "at least 1"),
    ("CreateTrainingJob", "ResourceConfig.InstanceGroups", [], "InstanceGroups excludes"),
    ("CreateTrainingJob", "ResourceConfig.VolumeSizeInGB", 20_000, "from 1 to 16384"),
    ("CreateTrainingJob", "AlgorithmSpecification.TrainingInputMode", "Files", "enum value set"),
    ("CreateTrainingJob", "AlgorithmSpecification.TrainingImage", GONE, "either TrainingImage or AlgorithmName"),
    ("CreateTrainingJob", "AlgorithmSpecification.TrainingImage", "a" * 256, "less than or equal to 255"),
    ("CreateTrainingJob", "AlgorithmSpecification.ContainerArguments", ["a" * 300], "less than or equal to 256"),
    ("CreateTrainingJob", "AlgorithmSpecification.MetricDefinitions", [{"Name": "m", "Regex": "x"}] * 2, "two of the metrics"),
    ("CreateTrainingJob", "AlgorithmSpecification.TrainingImage", "1" * 12 + ".dkr.ecr.us-east-1.amazonaws.com/a:1", "only from its own region"),
    ("CreateTrainingJob", "OutputDataConfig.S3OutputPath", "/tmp/out", "regular expression"),
    ("CreateTrainingJob", "InputDataConfig", [CHANNEL, CHANNEL], "two of the channels"),
    ("CreateTrainingJob", "InputDataConfig", [CHANNEL | {"ChannelName": f"c{i}"} for i in range(21)], "less than or equal to 20"),
    ("CreateTrainingJob", "InputDataConfig", [CHANNEL | {"DataSource": {}}], "exactly one source"),
    ("CreateTrainingJob", "Environment", {"A B": "1"}, "regular expression"),
    ("CreateTrainingJob", "Environment", {"A": "x" * 513}, "less than or equal to 512"),
    ("CreateTrainingJob", "HyperParameters", {"lr": 0.1}, "must be of type string"),
    ("CreateTrainingJob", "HyperParameters", {"lr": "x" * 2501}, "less than or equal to 2500"),
    ("CreateTrainingJob", "StoppingCondition.MaxRuntimeInSeconds", 0, "greater than or equal to 1"),
    ("CreateTrainingJob", "StoppingCondition.MaxRuntimeInSeconds", 40 * 86_400, "28 days"),
    ("CreateTrainingJob", "StoppingCondition.MaxWaitTimeInSeconds", 7200, "only for EnableManagedSpotTraining"),
    ("CreateTrainingJob", "EnableManagedSpotTraining", True, "needs StoppingCondition.MaxWaitTimeInSeconds"),
    ("CreateTrainingJob", "Tags", [{"Key": "a", "Value": "v" * 257}], "less than or equal to 256"),
    ("CreateTrainingJob", "VpcConfig", {"Subnets": ["subnet-1"]}, "VpcConfig.SecurityGroupIds"),
    ("CreateTrainingJob", "RetryStrategy", {"MaximumRetryAttempts": 31}, "less than or equal to 30"),
    ("CreateProcessingJob", "ProcessingInputs", [INPUT, INPUT], "two of the inputs"),
    ("CreateProcessingJob", "ProcessingInputs", [INPUT | {"S3Input": INPUT["S3Input"] | {"LocalPath": "/tmp/raw"}}], "must lie below"),
    ("CreateProcessingJob", "ProcessingInputs", [{"InputName": "raw"}], "either S3Input or DatasetDefinition"),
    ("CreateProcessingJob", "Environment", {"A": "x" * 257}, "less than or equal to 256"),
    ("CreateProcessingJob", "ProcessingResources.ClusterConfig.InstanceCount", 101, "less than or equal to 100"),
    ("CreateEndpointConfig", "ProductionVariants", [VARIANT, VARIANT], "two of the variants"),
    ("CreateEndpointConfig", "ProductionVariants", [VARIANT | {"InitialVariantWeight": 0.0}], "above 0"),
    ("CreateEndpointConfig", "ProductionVariants", [VARIANT | {"InitialInstanceCount": 0}], "equal to 1"),
    (
        "CreateEndpointConfig",
        "ProductionVariants",
        [VARIANT | {"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5}}],
        "ServerlessConfig excludes",
    ),
    ("CreateModel", "PrimaryContainer.ModelPackageName", "p", "either Image or ModelPackageName"),
    ("CreateModel", "PrimaryContainer.ModelDataUrl", "s3://b/model.zip", "must be a .tar.gz"),
    ("CreateModel", "Containers", [{"Image": "a:1"}], "either PrimaryContainer or Containers"),
    ("CreateModelPackage", "ModelPackageName", "p", "either ModelPackageName or ModelPackageGroupName"),
    ("CreateModelPackage", "Tags", [{"Key": "a", "Value": "b"}], "belong to the group"),
    ("CreateModelPackage", "SourceUri", GONE, "needs an InferenceSpecification"),
]


def changed(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    made = copy.deepcopy(body)
    *folders, last = path.split(".")
    inner = made
    for name in folders:
        inner = inner[name]
    if value is GONE:
        inner.pop(last)
    else:
        inner[last] = value
    return made


def said_of(operation: str, body: dict[str, Any]) -> list[str]:
    return strict.violations(operation, body) or rules.violations(operation, body, "eu-west-1")  # as before sending: rules take the shape for granted


@pytest.mark.parametrize("operation", list(BASES))
def test_a_good_request_is_not_complained_of(operation: str) -> None:
    assert said_of(operation, BASES[operation]) == []


@pytest.mark.parametrize(("operation", "path", "value", "said"), BAD, ids=[f"{row[0]}-{row[1]}-{row[3][:20]}" for row in BAD])
def test_a_bad_request_is_told_in_words(operation: str, path: str, value: Any, said: str) -> None:
    found = said_of(operation, changed(BASES[operation], path, value))
    assert any(said in each for each in found), found


def test_spot_waits_at_least_as_long_as_it_may_run() -> None:
    spot = TRAINING | {"EnableManagedSpotTraining": True, "StoppingCondition": {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 60}}
    assert said_of("CreateTrainingJob", spot) == ["StoppingCondition.MaxWaitTimeInSeconds (60) must be at least MaxRuntimeInSeconds (3600)"]


def test_every_pattern_of_the_model_can_be_read() -> None:
    """One that cannot is not enforced; the count is watched, so that a new botocore does not quietly enforce less."""
    from cloud.sagemaker.strict import _compiled

    model = strict.service_model()
    patterns = {shape.metadata["pattern"] for name in model.shape_names if "pattern" in (shape := model.shape_for(name)).metadata}
    unread = [pattern for pattern in patterns if _compiled(pattern) is None]
    assert len(patterns) > 200
    assert unread == []

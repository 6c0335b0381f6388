"""Every operation that practice answers, driven by boto3; the same list is the table in docs/guides/practice-operations.md."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cloud.practice.aws.front import MOTO_OPERATIONS
from tests.cloud.practice.service import (
    BUCKET,
    IMAGE,
    ROLE,
    Service,
    endpoint,
    group,
    job_ended,
    model,
    processing,
    settled,
    specification,
    training,
    training_ended,
    transform,
    tuning,
    variant,
    wait_for,
)

PAGE = Path(__file__).parents[4] / "docs/guides/practice-operations.md"
RUNTIME = {"InvokeEndpoint", "InvokeEndpointAsync", "InvokeEndpointWithResponseStream"}
TESTS: dict[str, Callable[[Service, str], None]] = {}
TWICE = "import time; time.sleep(30)"


def covers(name: str) -> Callable[[Callable[[Service, str], None]], Callable[[Service, str], None]]:
    def mark(test: Callable[[Service, str], None]) -> Callable[[Service, str], None]:
        TESTS[name] = test
        return test

    return mark


def gone(call: Callable[[], Any], code: str = "ValidationException") -> bool:
    with pytest.raises(ClientError) as error:
        call()
    return str(error.value.response["Error"]["Code"]) == code


def names(answer: dict[str, Any], key: str, name: str) -> list[str]:
    return [each[name] for each in answer[key]]


def trained(service: Service, name: str, script: str = "pass", **more: Any) -> Any:
    client = service.client()
    client.create_training_job(**training(name, script, **more))
    training_ended(client, name)
    return client


@covers("CreateTrainingJob")
def _(service: Service, name: str) -> None:
    client = service.client()
    answer = client.create_training_job(**training(name, TWICE))
    assert answer["TrainingJobArn"] == f"arn:aws:sagemaker:eu-west-1:123456789012:training-job/{name}"
    assert gone(lambda: client.create_training_job(**training(name)), "ResourceInUse")
    client.stop_training_job(TrainingJobName=name)


@covers("DescribeTrainingJob")
def _(service: Service, name: str) -> None:
    request = training(name, Environment={"A": "b"}, HyperParameters={"x": "1"}, RetryStrategy={"MaximumRetryAttempts": 2})
    client = service.client()
    client.create_training_job(**request)
    described = training_ended(client, name)
    assert all(described[key] == value for key, value in request.items())
    assert not [key for key in described if key.startswith("_")]
    assert gone(lambda: client.describe_training_job(TrainingJobName="nobody"))


@covers("ListTrainingJobs")
def _(service: Service, name: str) -> None:
    client = trained(service, f"{name}-a")
    trained(service, f"{name}-b", "raise SystemExit(1)")
    found = client.list_training_jobs(NameContains=name, SortBy="Name", SortOrder="Ascending")
    assert names(found, "TrainingJobSummaries", "TrainingJobName") == [f"{name}-a", f"{name}-b"]
    assert names(client.list_training_jobs(NameContains=name, StatusEquals="Failed"), "TrainingJobSummaries", "TrainingJobName") == [f"{name}-b"]
    pages = client.get_paginator("list_training_jobs").paginate(NameContains=name, PaginationConfig={"PageSize": 1})
    assert [len(page["TrainingJobSummaries"]) for page in pages] == [1, 1]


@covers("StopTrainingJob")
def _(service: Service, name: str) -> None:
    client = service.client()
    client.create_training_job(**training(name, TWICE))
    client.stop_training_job(TrainingJobName=name)
    client.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 15})
    assert client.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "Stopped"
    assert gone(lambda: client.stop_training_job(TrainingJobName=name))


@covers("UpdateTrainingJob")
def _(service: Service, name: str) -> None:
    client = service.client()
    request = training(name, TWICE)
    request["ResourceConfig"] = {**request["ResourceConfig"], "KeepAlivePeriodInSeconds": 60}
    client.create_training_job(**request)
    client.update_training_job(TrainingJobName=name, ResourceConfig={"KeepAlivePeriodInSeconds": 120})
    assert client.describe_training_job(TrainingJobName=name)["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 120
    client.stop_training_job(TrainingJobName=name)
    training_ended(client, name)
    assert gone(lambda: client.update_training_job(TrainingJobName=name, ResourceConfig={"KeepAlivePeriodInSeconds": 60}))


@covers("DeleteTrainingJob")
def _(service: Service, name: str) -> None:
    client = service.client()
    client.create_training_job(**training(name, TWICE))
    assert gone(lambda: client.delete_training_job(TrainingJobName=name), "ResourceInUse")
    client.stop_training_job(TrainingJobName=name)
    training_ended(client, name)
    client.delete_training_job(TrainingJobName=name)
    assert gone(lambda: client.describe_training_job(TrainingJobName=name))


@covers("CreateProcessingJob")
def _(service: Service, name: str) -> None:
    client, s3 = service.client(), service.client("s3")
    s3.put_object(Bucket=BUCKET, Key=f"{name}/in/a", Body=b"x")
    script = (
        "import os; open('/opt/ml/processing/out/b', 'w').write(open('/opt/ml/processing/in/a').read() * 2); open('/opt/ml/output/message', 'w').write('done')"
    )
    source = {"S3Uri": f"s3://{BUCKET}/{name}/in", "S3DataType": "S3Prefix", "LocalPath": "/opt/ml/processing/in", "S3InputMode": "File"}
    target = {"S3Uri": f"s3://{BUCKET}/{name}/out", "LocalPath": "/opt/ml/processing/out", "S3UploadMode": "EndOfJob"}
    request = processing(
        name,
        script,
        ProcessingInputs=[{"InputName": "in", "S3Input": source}],
        ProcessingOutputConfig={"Outputs": [{"OutputName": "out", "S3Output": target}]},
    )
    assert client.create_processing_job(**request)["ProcessingJobArn"].endswith(f":processing-job/{name}")
    described = job_ended(lambda: client.describe_processing_job(ProcessingJobName=name), "ProcessingJobStatus")
    assert (described["ProcessingJobStatus"], described["ExitMessage"]) == ("Completed", "done"), described
    assert s3.get_object(Bucket=BUCKET, Key=f"{name}/out/b")["Body"].read() == b"xx"
    assert gone(lambda: client.create_processing_job(**request), "ResourceInUse")


@covers("DescribeProcessingJob")
def _(service: Service, name: str) -> None:
    client = service.client()
    client.create_processing_job(**processing(name, "raise SystemExit(4)", Environment={"A": "b"}))
    described = job_ended(lambda: client.describe_processing_job(ProcessingJobName=name), "ProcessingJobStatus")
    assert described["FailureReason"] == "AlgorithmError: See job logs for more information, exit code: 4"
    assert described["Environment"] == {"A": "b"}
    assert described["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 1
    assert described["ProcessingEndTime"] >= described["ProcessingStartTime"]


@covers("ListProcessingJobs")
def _(service: Service, name: str) -> None:
    client = service.client()
    for letter in "ab":
        client.create_processing_job(**processing(f"{name}-{letter}"))
    found = client.list_processing_jobs(NameContains=name, SortBy="Name", SortOrder="Ascending")
    assert names(found, "ProcessingJobSummaries", "ProcessingJobName") == [f"{name}-a", f"{name}-b"]


@covers("StopProcessingJob")
def _(service: Service, name: str) -> None:
    client = service.client()
    client.create_processing_job(**processing(name, TWICE))
    client.stop_processing_job(ProcessingJobName=name)
    assert job_ended(lambda: client.describe_processing_job(ProcessingJobName=name), "ProcessingJobStatus")["ProcessingJobStatus"] == "Stopped"


@covers("DeleteProcessingJob")
def _(service: Service, name: str) -> None:
    client = service.client()
    client.create_processing_job(**processing(name))
    job_ended(lambda: client.describe_processing_job(ProcessingJobName=name), "ProcessingJobStatus")
    client.delete_processing_job(ProcessingJobName=name)
    assert gone(lambda: client.describe_processing_job(ProcessingJobName=name))


def transformed(service: Service, name: str, body: bytes = b"a\nb\n", **more: Any) -> dict[str, Any]:
    client = service.client()
    model(service, name, "m")
    service.client("s3").put_object(Bucket=BUCKET, Key=f"{name}/in/rows.csv", Body=body)
    client.create_transform_job(**transform(name, name, f"s3://{BUCKET}/{name}/in/", **more))
    return job_ended(lambda: client.describe_transform_job(TransformJobName=name), "TransformJobStatus")


@covers("CreateTransformJob")
def _(service: Service, name: str) -> None:
    output = {"S3OutputPath": f"s3://{BUCKET}/{name}/out", "AssembleWith": "Line"}
    described = transformed(service, name, BatchStrategy="SingleRecord", TransformOutput=output, Environment={"SUFFIX": "!"})
    assert described["TransformJobStatus"] == "Completed", described
    assert service.client("s3").get_object(Bucket=BUCKET, Key=f"{name}/out/rows.csv.out")["Body"].read() == b"m:a\n!\nm:b\n!\n"


@covers("DescribeTransformJob")
def _(service: Service, name: str) -> None:
    described = transformed(service, name, b"fail", BatchStrategy="MultiRecord")
    assert described["TransformJobStatus"] == "Failed"
    assert "418" in described["FailureReason"]
    assert described["TransformResources"] == {"InstanceType": "ml.m5.large", "InstanceCount": 1}


@covers("ListTransformJobs")
def _(service: Service, name: str) -> None:
    transformed(service, name)
    assert names(service.client().list_transform_jobs(NameContains=name), "TransformJobSummaries", "TransformJobStatus") == ["Completed"]


@covers("StopTransformJob")
def _(service: Service, name: str) -> None:
    client = service.client()
    model(service, name)
    service.client("s3").put_object(Bucket=BUCKET, Key=f"{name}/in/rows", Body=b"row\n" * 200_000)
    client.create_transform_job(**transform(name, name, f"s3://{BUCKET}/{name}/in/", BatchStrategy="SingleRecord"))
    client.stop_transform_job(TransformJobName=name)
    assert job_ended(lambda: client.describe_transform_job(TransformJobName=name), "TransformJobStatus")["TransformJobStatus"] == "Stopped"


def tuned(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    client = service.client()
    client.create_hyper_parameter_tuning_job(**request)
    name = request["HyperParameterTuningJobName"]
    return job_ended(lambda: client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name), "HyperParameterTuningJobStatus", 60)


READS = "import json; x = float(json.load(open('/opt/ml/input/config/hyperparameters.json'))['x']); print(f'loss={(x - 3) ** 2}')"


@covers("CreateHyperParameterTuningJob")
def _(service: Service, name: str) -> None:
    described = tuned(service, tuning(name, READS, most=4))
    assert described["HyperParameterTuningJobStatus"] == "Completed"
    assert described["TrainingJobStatusCounters"]["Completed"] == 4
    best = described["BestTrainingJob"]
    found = service.client().list_training_jobs_for_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)["TrainingJobSummaries"]
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == min(each["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for each in found)
    assert len({each["TunedHyperParameters"]["x"] for each in found}) == 4
    grid = tuning(f"{name}-grid", READS, "Grid")
    grid["HyperParameterTuningJobConfig"] |= {
        "ParameterRanges": {"CategoricalParameterRanges": [{"Name": "x", "Values": ["1", "3", "4"]}]},
        "ResourceLimits": {"MaxParallelTrainingJobs": 3},
    }
    assert tuned(service, grid)["BestTrainingJob"]["TunedHyperParameters"] == {"x": "3"}


@covers("DescribeHyperParameterTuningJob")
def _(service: Service, name: str) -> None:
    described = tuned(service, tuning(name, "raise SystemExit(1)"))
    assert described["HyperParameterTuningJobStatus"] == "Failed"
    assert described["TrainingJobStatusCounters"]["NonRetryableError"] == 2
    assert "BestTrainingJob" not in described


@covers("ListHyperParameterTuningJobs")
def _(service: Service, name: str) -> None:
    tuned(service, tuning(name))
    found = service.client().list_hyper_parameter_tuning_jobs(NameContains=name)["HyperParameterTuningJobSummaries"]
    assert [(each["HyperParameterTuningJobName"], each["Strategy"]) for each in found] == [(name, "Random")]


@covers("ListTrainingJobsForHyperParameterTuningJob")
def _(service: Service, name: str) -> None:
    tuned(service, tuning(name, READS, "Bayesian", most=3))
    client = service.client()
    found = client.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name, SortBy="FinalObjectiveMetricValue", SortOrder="Ascending"
    )
    values = [each["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for each in found["TrainingJobSummaries"]]
    assert values == sorted(values)
    assert {each["ObjectiveStatus"] for each in found["TrainingJobSummaries"]} == {"Succeeded"}
    described = client.describe_training_job(TrainingJobName=found["TrainingJobSummaries"][0]["TrainingJobName"])
    assert described["TuningJobArn"].endswith(name)


@covers("StopHyperParameterTuningJob")
def _(service: Service, name: str) -> None:
    client = service.client()
    client.create_hyper_parameter_tuning_job(**tuning(name, TWICE))
    wait_for(lambda: client.list_training_jobs(NameContains=name)["TrainingJobSummaries"])
    client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    described = job_ended(lambda: client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name), "HyperParameterTuningJobStatus")
    assert described["HyperParameterTuningJobStatus"] == "Stopped"
    assert set(names(client.list_training_jobs(NameContains=name), "TrainingJobSummaries", "TrainingJobStatus")) == {"Stopped"}


@covers("DeleteHyperParameterTuningJob")
def _(service: Service, name: str) -> None:
    tuned(service, tuning(name))
    client = service.client()
    client.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    assert gone(lambda: client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name))


@covers("CreateModel")
def _(service: Service, name: str) -> None:
    model(service, name)
    assert gone(lambda: model(service, name))


def test_a_model_may_be_plain_files_below_a_prefix(service: Service) -> None:
    service.client("s3").put_object(Bucket=BUCKET, Key="plain/model/text", Body=b"plain")
    source = {"S3DataSource": {"S3Uri": f"s3://{BUCKET}/plain/model", "S3DataType": "S3Prefix", "CompressionType": "None"}}
    container = {"Image": IMAGE, "ModelDataSource": source}
    service.client().create_model(ModelName="plain-files", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    endpoint(service, "plain-files", variant("a", "plain-files"))
    assert invoked(service, "plain-files") == "plain:x"


@covers("DescribeModel")
def _(service: Service, name: str) -> None:
    model(service, name, Environment={"A": "b"})
    described = service.client().describe_model(ModelName=name)
    assert (described["ModelName"], described["ExecutionRoleArn"], described["PrimaryContainer"]["Environment"]) == (name, ROLE, {"A": "b"})


@covers("ListModels")
def _(service: Service, name: str) -> None:
    model(service, name)
    assert names(service.client().list_models(NameContains=name), "Models", "ModelName") == [name]


@covers("DeleteModel")
def _(service: Service, name: str) -> None:
    model(service, name)
    client = service.client()
    client.delete_model(ModelName=name)
    assert gone(lambda: client.describe_model(ModelName=name))
    assert gone(lambda: client.delete_model(ModelName=name))


def configured(service: Service, name: str) -> Any:
    model(service, name)
    client = service.client()
    client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant("a", name)], Tags=[{"Key": "k", "Value": "v"}])
    return client


@covers("CreateEndpointConfig")
def _(service: Service, name: str) -> None:
    client = configured(service, name)
    assert gone(lambda: client.create_endpoint_config(EndpointConfigName=f"{name}-2", ProductionVariants=[variant("a", "no-such-model")]))


@covers("DescribeEndpointConfig")
def _(service: Service, name: str) -> None:
    described = configured(service, name).describe_endpoint_config(EndpointConfigName=name)
    assert described["ProductionVariants"] == [variant("a", name)]


@covers("ListEndpointConfigs")
def _(service: Service, name: str) -> None:
    assert names(configured(service, name).list_endpoint_configs(NameContains=name), "EndpointConfigs", "EndpointConfigName") == [name]


@covers("DeleteEndpointConfig")
def _(service: Service, name: str) -> None:
    client = configured(service, name)
    client.delete_endpoint_config(EndpointConfigName=name)
    assert gone(lambda: client.describe_endpoint_config(EndpointConfigName=name))


def invoked(service: Service, name: str, body: bytes = b"x", **more: Any) -> str:
    answer = service.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=body, ContentType="text/plain", **more)
    return str(answer["Body"].read().decode())


@covers("CreateEndpoint")
def _(service: Service, name: str) -> None:
    model(service, name)
    client = service.client()
    client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant("a", name)])
    client.create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert client.describe_endpoint(EndpointName=name)["EndpointStatus"] in ("Creating", "InService")
    client.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    assert invoked(service, name) == "hello:x"


@covers("DescribeEndpoint")
def _(service: Service, name: str) -> None:
    model(service, name, "broken")
    described = endpoint(service, name, variant("a", name))
    assert described["EndpointStatus"] == "Failed"
    assert "ping health check" in described["FailureReason"]


@covers("ListEndpoints")
def _(service: Service, name: str) -> None:
    model(service, name)
    endpoint(service, name, variant("a", name))
    assert names(service.client().list_endpoints(NameContains=name, StatusEquals="InService"), "Endpoints", "EndpointName") == [name]


@covers("UpdateEndpoint")
def _(service: Service, name: str) -> None:
    model(service, name, "old")
    model(service, f"{name}-2", "new")
    model(service, f"{name}-3", "broken")
    endpoint(service, name, variant("a", name))
    client = service.client()
    for version, expected in ((2, "new"), (3, "new")):  # the third does not start: what was there goes on
        client.create_endpoint_config(EndpointConfigName=f"{name}-{version}", ProductionVariants=[variant("a", f"{name}-{version}")])
        client.update_endpoint(EndpointName=name, EndpointConfigName=f"{name}-{version}")
        assert client.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Updating"
        assert invoked(service, name) in ("old:x", "new:x")  # answers all the time
        described = settled(client, name)
        assert invoked(service, name) == f"{expected}:x"
    assert "FailureReason" in described


@covers("UpdateEndpointWeightsAndCapacities")
def _(service: Service, name: str) -> None:
    model(service, f"{name}-a", "a")
    model(service, f"{name}-b", "b")
    endpoint(service, name, variant("a", f"{name}-a", 1), variant("b", f"{name}-b", 0))
    assert {invoked(service, name) for _ in range(8)} == {"a:x"}
    client = service.client()
    client.update_endpoint_weights_and_capacities(
        EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": "a", "DesiredWeight": 0}, {"VariantName": "b", "DesiredWeight": 1}]
    )
    assert client.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Updating"
    settled(client, name)
    assert {invoked(service, name) for _ in range(8)} == {"b:x"}
    assert invoked(service, name, TargetVariant="a") == "a:x"


@covers("DeleteEndpoint")
def _(service: Service, name: str) -> None:
    model(service, name)
    endpoint(service, name, variant("a", name))
    client = service.client()
    client.delete_endpoint(EndpointName=name)
    client.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 40})
    assert gone(lambda: invoked(service, name), "ValidationError")


@covers("InvokeEndpoint")
def _(service: Service, name: str) -> None:
    model(service, name)
    endpoint(service, name, variant("only", name))
    answer = service.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=b"x", ContentType="text/plain")
    assert (answer["InvokedProductionVariant"], answer["ContentType"], answer["Body"].read()) == ("only", "text/plain", b"hello:x")
    with pytest.raises(ClientError) as error:
        invoked(service, name, b"fail")
    assert error.value.response["Error"]["Code"] == "ModelError"
    assert error.value.response["OriginalStatusCode"] == 418


@covers("InvokeEndpointWithResponseStream")
def _(service: Service, name: str) -> None:
    model(service, name)
    endpoint(service, name, variant("only", name))
    ask = service.client("sagemaker-runtime").invoke_endpoint_with_response_stream
    answer = ask(EndpointName=name, Body=b"slow", ContentType="text/plain")
    parts = [(time.monotonic(), event["PayloadPart"]["Bytes"]) for event in answer["Body"]]
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("text/plain", "only")
    assert b"".join(part for _, part in parts) == b"hello:slow"
    assert parts[-1][0] - parts[0][0] > 0.3  # the first part came before the last was made
    with pytest.raises(ClientError) as error:
        ask(EndpointName=name, Body=b"fail")
    assert error.value.response["Error"]["Code"] == "ModelError"


@covers("InvokeEndpointAsync")
def _(service: Service, name: str) -> None:
    model(service, name)
    endpoint(service, name, variant("a", name), AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": f"s3://{BUCKET}/{name}/out"}})
    s3 = service.client("s3")
    s3.put_object(Bucket=BUCKET, Key=f"{name}/in", Body=b"later")
    answer = service.client("sagemaker-runtime").invoke_endpoint_async(EndpointName=name, InputLocation=f"s3://{BUCKET}/{name}/in")
    key = answer["OutputLocation"].removeprefix(f"s3://{BUCKET}/")
    wait_for(lambda: s3.list_objects_v2(Bucket=BUCKET, Prefix=key)["KeyCount"])
    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"hello:later"


@covers("CreateModelPackageGroup")
def _(service: Service, name: str) -> None:
    client = service.client()
    assert client.create_model_package_group(ModelPackageGroupName=name)["ModelPackageGroupArn"].endswith(f":model-package-group/{name}")
    assert gone(lambda: client.create_model_package_group(ModelPackageGroupName=name))


@covers("DescribeModelPackageGroup")
def _(service: Service, name: str) -> None:
    client = service.client()
    client.create_model_package_group(ModelPackageGroupName=name, ModelPackageGroupDescription="d")
    described = client.describe_model_package_group(ModelPackageGroupName=name)
    assert (described["ModelPackageGroupDescription"], described["ModelPackageGroupStatus"]) == ("d", "Completed")


@covers("ListModelPackageGroups")
def _(service: Service, name: str) -> None:
    group(service.client(), name)
    assert names(service.client().list_model_package_groups(NameContains=name), "ModelPackageGroupSummaryList", "ModelPackageGroupName") == [name]


@covers("DeleteModelPackageGroup")
def _(service: Service, name: str) -> None:
    client = service.client()
    arn = group(client, name)
    assert gone(lambda: client.delete_model_package_group(ModelPackageGroupName=name), "ConflictException")
    client.delete_model_package(ModelPackageName=arn)
    client.delete_model_package_group(ModelPackageGroupName=name)
    assert gone(lambda: client.describe_model_package_group(ModelPackageGroupName=name))


def policied(service: Service, name: str) -> Any:
    client = service.client()
    client.create_model_package_group(ModelPackageGroupName=name)
    client.put_model_package_group_policy(ModelPackageGroupName=name, ResourcePolicy='{"Version": "2012-10-17"}')
    return client


@covers("PutModelPackageGroupPolicy")
def _(service: Service, name: str) -> None:
    client = policied(service, name)
    assert client.put_model_package_group_policy(ModelPackageGroupName=name, ResourcePolicy="{}")["ModelPackageGroupArn"].endswith(name)
    assert client.get_model_package_group_policy(ModelPackageGroupName=name)["ResourcePolicy"] == "{}"


@covers("GetModelPackageGroupPolicy")
def _(service: Service, name: str) -> None:
    assert json.loads(policied(service, name).get_model_package_group_policy(ModelPackageGroupName=name)["ResourcePolicy"]) == {"Version": "2012-10-17"}


@covers("DeleteModelPackageGroupPolicy")
def _(service: Service, name: str) -> None:
    client = policied(service, name)
    client.delete_model_package_group_policy(ModelPackageGroupName=name)
    assert gone(lambda: client.get_model_package_group_policy(ModelPackageGroupName=name))


@covers("CreateModelPackage")
def _(service: Service, name: str) -> None:
    client = service.client()
    assert group(client, name).endswith(f":model-package/{name}/1")
    again = [client.create_model_package(ModelPackageGroupName=name, InferenceSpecification=specification(), ClientToken="t") for _ in range(2)]
    assert [each["ModelPackageArn"].rsplit("/", 1)[-1] for each in again] == ["2", "2"]  # the token makes it one


@covers("DescribeModelPackage")
def _(service: Service, name: str) -> None:
    arn = group(service.client(), name)
    described = service.client().describe_model_package(ModelPackageName=arn)
    assert (described["ModelPackageVersion"], described["ModelApprovalStatus"], described["ModelPackageStatus"]) == (1, "PendingManualApproval", "Completed")
    assert described["InferenceSpecification"] == specification()


@covers("BatchDescribeModelPackage")
def _(service: Service, name: str) -> None:
    arn = group(service.client(), name)
    answer = service.client().batch_describe_model_package(ModelPackageArnList=[arn, f"{arn}7"])
    assert list(answer["ModelPackageSummaries"]) == [arn]
    assert list(answer["BatchDescribeModelPackageErrorMap"]) == [f"{arn}7"]


@covers("UpdateModelPackage")
def _(service: Service, name: str) -> None:
    client = service.client()
    arn = group(client, name)
    container = {"ModelPackageName": arn}
    assert gone(lambda: client.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container))
    client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved", CustomerMetadataProperties={"alias": "champion", "x": "y"})
    client.update_model_package(ModelPackageArn=arn, CustomerMetadataPropertiesToRemove=["x"])
    described = client.describe_model_package(ModelPackageName=arn)
    assert (described["ModelApprovalStatus"], described["CustomerMetadataProperties"]) == ("Approved", {"alias": "champion"})
    client.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)


@covers("DeleteModelPackage")
def _(service: Service, name: str) -> None:
    client = service.client()
    arn = group(client, name)
    client.delete_model_package(ModelPackageName=arn)
    assert gone(lambda: client.describe_model_package(ModelPackageName=arn))
    assert client.create_model_package(ModelPackageGroupName=name, InferenceSpecification=specification())["ModelPackageArn"].endswith("/2")


@covers("ListModelPackages")
def _(service: Service, name: str) -> None:
    client = service.client()
    arn = group(client, name)
    client.create_model_package(ModelPackageGroupName=name, InferenceSpecification=specification(), ModelApprovalStatus="Approved")
    found = client.list_model_packages(ModelPackageGroupName=name, SortOrder="Ascending")
    assert names(found, "ModelPackageSummaryList", "ModelPackageVersion") == [1, 2]
    found = client.list_model_packages(ModelPackageGroupName=name, ModelApprovalStatus="PendingManualApproval")
    assert names(found, "ModelPackageSummaryList", "ModelPackageArn") == [arn]


@covers("Search")
def _(service: Service, name: str) -> None:
    client = trained(
        service, name, "print('auc=0.7')", algorithm={"MetricDefinitions": [{"Name": "auc", "Regex": "auc=([0-9.]+)"}]}, Tags=[{"Key": "team", "Value": name}]
    )
    filters = [{"Name": "Tags.team", "Operator": "Equals", "Value": name}, {"Name": "Metrics.auc", "Operator": "GreaterThan", "Value": "0.6"}]
    found = client.search(Resource="TrainingJob", SearchExpression={"Filters": filters})["Results"]
    assert [each["TrainingJob"]["TrainingJobName"] for each in found] == [name]
    filters[1]["Value"] = "0.8"
    assert client.search(Resource="TrainingJob", SearchExpression={"Filters": filters})["Results"] == []


def tagged(service: Service, name: str) -> tuple[Any, str]:
    model(service, name)
    client = service.client()
    arn = client.describe_model(ModelName=name)["ModelArn"]
    client.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    return client, arn


@covers("AddTags")
def _(service: Service, name: str) -> None:
    client, arn = tagged(service, name)
    assert client.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "3"}])["Tags"] == [{"Key": "a", "Value": "3"}, {"Key": "b", "Value": "2"}]
    assert gone(lambda: client.add_tags(ResourceArn=arn + "-nobody", Tags=[]))


@covers("ListTags")
def _(service: Service, name: str) -> None:
    client, arn = tagged(service, name)
    assert {each["Key"]: each["Value"] for each in client.list_tags(ResourceArn=arn)["Tags"]} == {"a": "1", "b": "2"}


@covers("DeleteTags")
def _(service: Service, name: str) -> None:
    client, arn = tagged(service, name)
    client.delete_tags(ResourceArn=arn, TagKeys=["a"])
    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]


def experimented(service: Service, name: str) -> Any:
    client = service.client()
    client.create_experiment(ExperimentName=name)
    client.create_trial(TrialName=name, ExperimentName=name)
    client.create_trial_component(TrialComponentName=name, DisplayName="d")
    return client


@covers("CreateExperiment")
def _(service: Service, name: str) -> None:
    assert experimented(service, name).describe_experiment(ExperimentName=name)["ExperimentArn"].endswith(name)


@covers("DescribeExperiment")
def _(service: Service, name: str) -> None:
    assert experimented(service, name).describe_experiment(ExperimentName=name)["ExperimentName"] == name


@covers("ListExperiments")
def _(service: Service, name: str) -> None:
    assert name in names(experimented(service, name).list_experiments(), "ExperimentSummaries", "ExperimentName")


@covers("DeleteExperiment")
def _(service: Service, name: str) -> None:
    client = service.client()
    client.create_experiment(ExperimentName=name)
    client.delete_experiment(ExperimentName=name)
    assert name not in names(client.list_experiments(), "ExperimentSummaries", "ExperimentName")


@covers("CreateTrial")
def _(service: Service, name: str) -> None:
    assert name in names(experimented(service, name).list_trials(ExperimentName=name), "TrialSummaries", "TrialName")


@covers("DescribeTrial")
def _(service: Service, name: str) -> None:
    assert experimented(service, name).describe_trial(TrialName=name)["ExperimentName"] == name


@covers("ListTrials")
def _(service: Service, name: str) -> None:
    assert names(experimented(service, name).list_trials(ExperimentName=name), "TrialSummaries", "TrialName") == [name]


@covers("DeleteTrial")
def _(service: Service, name: str) -> None:
    client = experimented(service, name)
    client.delete_trial(TrialName=name)
    assert client.list_trials(ExperimentName=name)["TrialSummaries"] == []


@covers("CreateTrialComponent")
def _(service: Service, name: str) -> None:
    assert name in names(experimented(service, name).list_trial_components(), "TrialComponentSummaries", "TrialComponentName")


@covers("DescribeTrialComponent")
def _(service: Service, name: str) -> None:
    assert experimented(service, name).describe_trial_component(TrialComponentName=name)["DisplayName"] == "d"


@covers("ListTrialComponents")
def _(service: Service, name: str) -> None:
    assert name in names(experimented(service, name).list_trial_components(), "TrialComponentSummaries", "TrialComponentName")


@covers("UpdateTrialComponent")
def _(service: Service, name: str) -> None:
    client = experimented(service, name)
    client.update_trial_component(TrialComponentName=name, DisplayName="e")
    assert client.describe_trial_component(TrialComponentName=name)["DisplayName"] == "e"


@covers("DeleteTrialComponent")
def _(service: Service, name: str) -> None:
    client = experimented(service, name)
    client.delete_trial_component(TrialComponentName=name)
    assert name not in names(client.list_trial_components(), "TrialComponentSummaries", "TrialComponentName")


@covers("AssociateTrialComponent")
def _(service: Service, name: str) -> None:
    client = experimented(service, name)
    client.associate_trial_component(TrialComponentName=name, TrialName=name)
    assert names(client.list_trial_components(TrialName=name), "TrialComponentSummaries", "TrialComponentName") == [name]


@covers("DisassociateTrialComponent")
def _(service: Service, name: str) -> None:
    client = experimented(service, name)
    client.associate_trial_component(TrialComponentName=name, TrialName=name)
    client.disassociate_trial_component(TrialComponentName=name, TrialName=name)
    assert client.list_trial_components(TrialName=name)["TrialComponentSummaries"] == []


@pytest.mark.parametrize("operation", sorted(TESTS))
def test_operation(service: Service, operation: str) -> None:
    TESTS[operation](service, f"{re.sub('[^A-Z]', '', operation).lower()}-{uuid.uuid4().hex[:6]}")


def test_the_table_lists_what_is_built_and_tested(service: Service) -> None:
    from cloud.practice import aws

    built = set(aws._opened[id(service.practice)].handlers) | MOTO_OPERATIONS | RUNTIME
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), flags=re.MULTILINE)
    assert sorted(rows) == sorted(built) == sorted(TESTS)
    assert len(rows) >= 60


def test_other_operations_answer_501(service: Service) -> None:
    client = service.client()
    with pytest.raises(ClientError) as error:
        client.create_domain(DomainName="d", AuthMode="IAM", DefaultUserSettings={"ExecutionRole": ROLE})
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert "CreateDomain" in error.value.response["Error"]["Message"]
    with pytest.raises(ClientError) as error:
        service.client("sqs").list_queues()
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_other_services_that_jobs_touch_are_there(service: Service) -> None:
    assert service.client("sts").get_caller_identity()["Account"] == "123456789012"
    assert service.client("iam").get_role(RoleName=ROLE.rsplit("/", 1)[-1])["Role"]["Arn"] == ROLE
    repositories = service.client("ecr").describe_repositories()["repositories"]
    assert {"seatrial-ray", "seatrial-spark", IMAGE.split(":")[0]} <= {each["repositoryName"] for each in repositories}
    scaling = service.client("application-autoscaling")
    scaling.register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId="endpoint/e/variant/a",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MinCapacity=1,
        MaxCapacity=2,
    )
    assert len(scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]) == 1

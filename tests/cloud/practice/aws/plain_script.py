"""A program as Amazon's documentation writes it: boto3, and nothing of this project.

python plain_script.py ROLE BUCKET IMAGE

IMAGE has the programs ``train`` and ``serve`` of test_plain_boto3.py; the processing script comes from S3.
"""

import json
import sys

import boto3

PROCESS = """
import pathlib
rows = [line.split(",") for line in pathlib.Path("/opt/ml/processing/input/raw/rows.csv").read_text().splitlines()]
kept = [row for row in rows if row[1] != "NA"]
for part in range(2):
    pathlib.Path(f"/opt/ml/processing/output/part-{part}.csv").write_text("\\n".join(",".join(row) for row in kept[part::2]))
print("kept", len(kept), "of", len(rows))
"""

role, bucket, image = sys.argv[1:]
s3, sagemaker = boto3.client("s3"), boto3.client("sagemaker")
s3.put_object(Bucket=bucket, Key="plain/raw/rows.csv", Body="1,2\n2,4\n3,NA\n4,8\n5,10\n")
s3.put_object(Bucket=bucket, Key="plain/code/process.py", Body=PROCESS)
quick = {"Delay": 1, "MaxAttempts": 600}


def inside(name: str, folder: str, where: str) -> dict:
    source = {"S3Uri": f"s3://{bucket}/plain/{folder}/", "LocalPath": f"/opt/ml/processing/{where}", "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return {"InputName": name, "S3Input": source}


sagemaker.create_processing_job(
    ProcessingJobName="plain-process",
    RoleArn=role,
    AppSpecification={"ImageUri": image, "ContainerEntrypoint": ["python", "/opt/ml/processing/code/process.py"]},
    ProcessingInputs=[inside("raw", "raw", "input/raw"), inside("code", "code", "code")],
    ProcessingOutputConfig={
        "Outputs": [
            {
                "OutputName": "parts",
                "S3Output": {"S3Uri": f"s3://{bucket}/plain/parts/", "LocalPath": "/opt/ml/processing/output", "S3UploadMode": "EndOfJob"},
            }
        ]
    },
    ProcessingResources={"ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}},
)
sagemaker.get_waiter("processing_job_completed_or_stopped").wait(ProcessingJobName="plain-process", WaiterConfig=quick)
assert sagemaker.describe_processing_job(ProcessingJobName="plain-process")["ProcessingJobStatus"] == "Completed"

source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/plain/parts/", "S3DataDistributionType": "ShardedByS3Key"}  # a part for each host
sagemaker.create_training_job(
    TrainingJobName="plain-train",
    RoleArn=role,
    AlgorithmSpecification={
        "TrainingImage": image,
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "slope", "Regex": "slope=([0-9.]+)"}],
    },
    HyperParameters={"digits": "3"},
    InputDataConfig=[{"ChannelName": "parts", "DataSource": {"S3DataSource": source}}],
    OutputDataConfig={"S3OutputPath": f"s3://{bucket}/plain/out"},
    ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 10},
    StoppingCondition={"MaxRuntimeInSeconds": 600},
)
sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName="plain-train", WaiterConfig=quick)
job = sagemaker.describe_training_job(TrainingJobName="plain-train")
assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
assert job["FinalMetricDataList"][0]["Value"] == 2.0

logs = boto3.client("logs")
streams = logs.describe_log_streams(logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix="plain-train/")["logStreams"]
assert len(streams) == 2  # of two hosts

sagemaker.create_model_package_group(ModelPackageGroupName="plain")
package = sagemaker.create_model_package(
    ModelPackageGroupName="plain",
    ModelApprovalStatus="PendingManualApproval",
    InferenceSpecification={
        "Containers": [{"Image": image, "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"]}],
        "SupportedContentTypes": ["application/json"],
        "SupportedResponseMIMETypes": ["application/json"],
    },
)["ModelPackageArn"]
sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
sagemaker.create_model(ModelName="plain", ExecutionRoleArn=role, PrimaryContainer={"ModelPackageName": package})
sagemaker.create_endpoint_config(
    EndpointConfigName="plain",
    ProductionVariants=[{"VariantName": "all", "ModelName": "plain", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}],
)
sagemaker.create_endpoint(EndpointName="plain", EndpointConfigName="plain")
sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="plain", WaiterConfig=quick)
runtime = boto3.client("sagemaker-runtime")
answer = runtime.invoke_endpoint(EndpointName="plain", ContentType="application/json", Body=json.dumps([1, 2.5]))
assert json.loads(answer["Body"].read()) == [2.0, 5.0]
sagemaker.delete_endpoint(EndpointName="plain")
sagemaker.get_waiter("endpoint_deleted").wait(EndpointName="plain", WaiterConfig=quick)
print("all done")

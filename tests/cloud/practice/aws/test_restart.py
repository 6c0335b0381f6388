"""What survives a restart of the service, and what happened to that which ran."""

from __future__ import annotations

from pathlib import Path

from cloud.practice import daemon
from tests.cloud.practice.service import (
    BUCKET,
    Daemon,
    endpoint,
    group,
    log_lines,
    model,
    settled,
    training,
    training_ended,
    variant,
    wait_for,
)


def test_jobs_models_endpoints_objects_and_logs_survive(tmp_path: Path) -> None:
    first = Daemon(tmp_path)
    try:
        s3, client = first.client("s3"), first.client()
        s3.create_bucket(Bucket="mine", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        s3.put_object(Bucket="mine", Key="a/b c.txt", Body=b"text", ContentType="text/plain", Metadata={"who": "me"})
        s3.put_object(Bucket="mine", Key="gone", Body=b"x")
        s3.put_object(Bucket="mine", Key="gone too", Body=b"x")
        s3.delete_object(Bucket="mine", Key="gone")
        s3.delete_objects(Bucket="mine", Delete={"Objects": [{"Key": "gone too"}]})
        upload = s3.create_multipart_upload(Bucket="mine", Key="large")
        parts = [
            {"PartNumber": number, "ETag": s3.upload_part(Bucket="mine", Key="large", UploadId=upload["UploadId"], PartNumber=number, Body=body)["ETag"]}
            for number, body in ((1, b"1" * (5 << 20)), (2, b"2"))
        ]
        s3.complete_multipart_upload(Bucket="mine", Key="large", UploadId=upload["UploadId"], MultipartUpload={"Parts": parts})
        etag = s3.head_object(Bucket="mine", Key="large")["ETag"]
        client.create_training_job(**training("done", "print('said', flush=True)", Tags=[{"Key": "a", "Value": "b"}]))
        before = training_ended(client, "done")
        client.create_training_job(**training("running", "import time; time.sleep(60)"))
        wait_for(lambda: client.describe_training_job(TrainingJobName="running")["SecondaryStatus"] == "Training")
        model(first, "m")
        endpoint(first, "e", variant("a", "m"))
        package = group(client, "g")
    finally:
        first.close()

    second = Daemon(tmp_path)
    try:
        s3, client = second.client("s3"), second.client()
        assert sorted(each["Key"] for each in s3.list_objects_v2(Bucket="mine")["Contents"]) == ["a/b c.txt", "large"]
        found = s3.get_object(Bucket="mine", Key="a/b c.txt")
        assert (found["Body"].read(), found["ContentType"], found["Metadata"]) == (b"text", "text/plain", {"who": "me"})
        large = s3.get_object(Bucket="mine", Key="large", Range="bytes=5242879-")
        assert (large["Body"].read(), large["ETag"]) == (b"12", etag)
        after = client.describe_training_job(TrainingJobName="done")
        assert {**after, "ResponseMetadata": 0} == {**before, "ResponseMetadata": 0}
        assert client.list_tags(ResourceArn=after["TrainingJobArn"])["Tags"] == [{"Key": "a", "Value": "b"}]
        assert log_lines(second, "/aws/sagemaker/TrainingJobs", "done/") == ["said"]
        lost = client.describe_training_job(TrainingJobName="running")
        assert (lost["TrainingJobStatus"], "practice service was stopped" in lost["FailureReason"]) == ("Failed", True)
        assert s3.get_object(Bucket=BUCKET, Key="out/done/output/model.tar.gz")["ContentLength"] > 0
        assert client.describe_model_package(ModelPackageName=package)["ModelPackageVersion"] == 1
        assert settled(client, "e")["EndpointStatus"] == "InService"
        assert second.client("sagemaker-runtime").invoke_endpoint(EndpointName="e", Body=b"x")["Body"].read() == b"hello:x"
        assert {record["status"] for record in daemon.ask(second.record, "/api/state")["records"] if record["name"] in ("done", "running")} == {
            "Completed",
            "Failed",
        }
    finally:
        second.close()

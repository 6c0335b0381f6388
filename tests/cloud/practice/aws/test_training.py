"""Training jobs are really executed, and end as the service would end them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from cloud.practice.hosts.isolation import NAMESPACES, find
from tests.cloud.practice.service import (
    BUCKET,
    SMALL,
    Service,
    channel,
    log_lines,
    secondaries,
    training,
    training_ended,
    unpacked,
    wait_for,
)

pytestmark = pytest.mark.skipif(find().name != NAMESPACES, reason="the scripts of these tests insist on /opt/ml")


def run(service: Service, name: str, script: str, **more: Any) -> dict[str, Any]:
    client = service.client()
    client.create_training_job(**training(name, script, **more))
    return training_ended(client, name)


def test_a_job_reads_channels_and_leaves_a_model_metrics_and_logs(service: Service) -> None:
    s3 = service.client("s3")
    for key in ("p0", "p1", "sub/p2", "sub/p3"):
        s3.put_object(Bucket=BUCKET, Key=f"channels/{key}", Body=key.encode())
    script = """
import glob, json, os
config = "/opt/ml/input/config/"
found = {
    "files": sorted(glob.glob("/opt/ml/input/data/*/**", recursive=True)),
    "hyperparameters": json.load(open(config + "hyperparameters.json")),
    "channels": json.load(open(config + "inputdataconfig.json")),
    "resources": json.load(open(config + "resourceconfig.json")),
    "job": os.environ["TRAINING_JOB_NAME"], "mine": os.environ["MINE"],
}
open(f"/opt/ml/model/{found['resources']['current_host']}", "w").write(json.dumps(found))
open("/opt/ml/output/data/notes", "w").write("n")
for step in (0.5, 0.25): print(f"step loss={step};")
"""
    described = run(
        service,
        "whole",
        script,
        HyperParameters={"lr": "0.1"},
        Environment={"MINE": "yes"},
        InputDataConfig=[
            channel("every", f"s3://{BUCKET}/channels/", S3DataDistributionType="FullyReplicated") | {"InputMode": "FastFile"},
            channel("share", f"s3://{BUCKET}/channels/", S3DataDistributionType="ShardedByS3Key") | {"ContentType": "text/csv"},
        ],
        ResourceConfig={**SMALL, "InstanceCount": 2},
        algorithm={"MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+);"}]},
    )
    assert described["TrainingJobStatus"] == "Completed"
    assert secondaries(described) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert [(each["MetricName"], each["Value"]) for each in described["FinalMetricDataList"]] == [("loss", 0.25)]
    assert described["Environment"] == {"MINE": "yes"}
    assert described["BillableTimeInSeconds"] == 2 * described["TrainingTimeInSeconds"]
    uri = described["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"s3://{BUCKET}/out/whole/output/model.tar.gz"
    hosts = {host: json.loads(text) for host, text in unpacked(s3.get_object(Bucket=BUCKET, Key="out/whole/output/model.tar.gz")["Body"].read()).items()}
    assert sorted(hosts) == ["algo-1", "algo-2"]
    shares = [[path.rsplit("/", 1)[-1] for path in hosts[host]["files"] if "/share/" in path and "p" in path.rsplit("/", 1)[-1]] for host in sorted(hosts)]
    assert shares == [["p0", "p2"], ["p1", "p3"]]
    first = hosts["algo-1"]
    assert "/opt/ml/input/data/every/sub/p3" in first["files"]
    assert first["hyperparameters"] == {"lr": "0.1"}
    assert first["channels"]["every"] == {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
    assert first["channels"]["share"]["ContentType"] == "text/csv"
    assert first["resources"]["hosts"] == ["algo-1", "algo-2"]
    assert first["resources"]["instance_groups"] == [
        {"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.large", "hosts": ["algo-1", "algo-2"]}
    ]
    assert (first["job"], first["mine"]) == ("whole", "yes")
    assert unpacked(s3.get_object(Bucket=BUCKET, Key="out/whole/output/output.tar.gz")["Body"].read()) == {"notes": "n"}
    assert sorted(log_lines(service, "/aws/sagemaker/TrainingJobs", "whole/")) == ["step loss=0.25;"] * 2 + ["step loss=0.5;"] * 2


def test_a_hosts_disk_goes_and_its_log_stays(service: Service) -> None:
    run(service, "tidy", "print('kept')")
    folder = service.practice.folder / "aws/state/eu-west-1/training/tidy"
    wait_for(lambda: [path.name for path in folder.iterdir()] == ["logs"])
    assert (folder / "logs/algo-1.txt").read_text() == "kept\n"


def test_a_failing_script_is_quoted(service: Service) -> None:
    described = run(service, "fails", "open('/opt/ml/output/failure', 'w').write('out of luck'); raise SystemExit(3)")
    assert described["TrainingJobStatus"] == described["SecondaryStatus"] == "Failed"
    assert described["FailureReason"] == "AlgorithmError: out of luck, exit code: 3"


def test_an_empty_channel_fails_before_the_algorithm_starts(service: Service) -> None:
    described = run(service, "empty", InputDataConfig=[channel("x", f"s3://{BUCKET}/nothing/")], script="pass")
    assert described["FailureReason"].startswith("ClientError: Data download failed")
    assert "Training" not in secondaries(described)


SLEEPS = (
    "import signal, sys, time; signal.signal(15, lambda *_: (open('/opt/ml/model/saved', 'w').close(), sys.exit(0))); print('up', flush=True); time.sleep(60)"
)


def wait_until_up(service: Service, name: str) -> None:
    client = service.client()
    wait_for(lambda: client.describe_training_job(TrainingJobName=name)["SecondaryStatus"] == "Training")
    wait_for(lambda: "up" in log_lines(service, "/aws/sagemaker/TrainingJobs", f"{name}/"))  # lines appear while the job runs


def test_a_stopped_job_saves_what_it_has(service: Service) -> None:
    client = service.client()
    client.create_training_job(**training("stopped", SLEEPS))
    wait_until_up(service, "stopped")
    client.stop_training_job(TrainingJobName="stopped")
    assert client.describe_training_job(TrainingJobName="stopped")["TrainingJobStatus"] in ("Stopping", "Stopped")
    described = training_ended(client, "stopped")
    assert described["TrainingJobStatus"] == described["SecondaryStatus"] == "Stopped"
    assert secondaries(described) == ["Starting", "Downloading", "Training", "Stopping", "Uploading", "Stopped"]
    assert list(unpacked(service.client("s3").get_object(Bucket=BUCKET, Key="out/stopped/output/model.tar.gz")["Body"].read())) == ["saved"]


def test_the_time_limit_stops_and_keeps_the_model(service: Service) -> None:
    described = run(service, "slow", SLEEPS, StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert (described["TrainingJobStatus"], described["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert described["ModelArtifacts"]["S3ModelArtifacts"].endswith("slow/output/model.tar.gz")


def test_memory_beyond_the_limit_is_the_clients_fault(service: Service) -> None:
    described = run(service, "large", "x = bytearray(b'1') * (2100 << 20); import time; time.sleep(30)")
    assert described["FailureReason"].startswith("ClientError: Please use an instance type with more memory")


def test_checkpoints_come_from_s3_and_go_there_while_the_job_runs(service: Service) -> None:
    s3 = service.client("s3")
    s3.put_object(Bucket=BUCKET, Key="checkpoints/old", Body=b"1")
    script = """
import os, time
assert open("/opt/ml/checkpoints/old").read() == "1"
open("/opt/ml/checkpoints/new", "w").write("2")
while not os.path.exists("/opt/ml/checkpoints/end"): time.sleep(0.1); open("/opt/ml/checkpoints/end", "w") if time.monotonic() > %f else None
"""
    client = service.client()
    config = {"S3Uri": f"s3://{BUCKET}/checkpoints"}
    client.create_training_job(**training("checkpointed", script % (time.monotonic() + 4), CheckpointConfig=config))

    def uploaded() -> list[str]:
        return [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET, Prefix="checkpoints/")["Contents"]]

    wait_for(lambda: "checkpoints/new" in uploaded(), 10)
    assert client.describe_training_job(TrainingJobName="checkpointed")["TrainingJobStatus"] == "InProgress"
    assert training_ended(client, "checkpointed")["TrainingJobStatus"] == "Completed"


def test_submit_to_running_takes_less_than_two_seconds(service: Service) -> None:
    started = time.monotonic()
    client = service.client()
    client.create_training_job(**training("quick", "print('here', flush=True); import time; time.sleep(3)"))
    wait_for(lambda: client.describe_training_job(TrainingJobName="quick")["SecondaryStatus"] == "Training", 5)
    wait_for(lambda: "here" in log_lines(service, "/aws/sagemaker/TrainingJobs", "quick/"), 5)
    assert time.monotonic() - started < 2
    client.stop_training_job(TrainingJobName="quick")

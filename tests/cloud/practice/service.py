"""A practice service in this process, its AWS port and clients for it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from cloud.practice import aws
from cloud.practice.hosts import Limits
from cloud.practice.images import Images
from cloud.practice.serving import Ports
from cloud.practice.settings import AWS_KEY, BUCKET, REGION, ROLE, Practice

IMAGE = "tests:1"
# Answers with the model's text and the request's body, slowly on request; fails on request; stops at once when told to.
SERVE = """#!{python}
import os, sys, time, http.server
model = open("/opt/ml/model/text").read() if os.path.exists("/opt/ml/model/text") else ""
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply(200, b"{{\\"MaxPayloadInMB\\": 1}}" if "parameters" in self.path else b"")
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        print("asked", body, flush=True)
        self.reply(418 if body == b"fail" else 200, model.encode() + b":" + body + os.environ.get("SUFFIX", "").encode())
    def reply(self, status, body):
        self.send_response(status); self.send_header("Content-Type", "text/plain"); self.send_header("Content-Length", str(len(body)))
        self.end_headers(); self.wfile.write(body[:4]); self.wfile.flush()
        if body.endswith(b"slow"): time.sleep(0.5)
        self.wfile.write(body[4:])
    def log_message(self, *rest): pass
if model == "broken": sys.exit(1)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""
SMALL = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Clients:
    """What a test asks of a service, in this process or in its own."""

    url: str

    def client(self, name: str = "sagemaker", region: str = REGION, retries: int = 0) -> Any:
        config = Config(retries={"total_max_attempts": retries + 1}, parameter_validation=False)
        return boto3.client(name, region_name=region, endpoint_url=self.url, aws_access_key_id=AWS_KEY, aws_secret_access_key=AWS_KEY, config=config)


class Service(Clients):
    """The AWS front in this process; one for all tests, because moto's records are one for a process."""

    def __init__(self, folder: Path) -> None:
        self.practice = Practice.open(folder, free_port(), free_port(), free_port(), Limits(memory=2048))
        self.url = self.practice.aws_url
        add_image(self.practice.images, folder)
        self.ports = Ports()
        self.ports.wsgi(aws.create(self.practice), self.practice.aws_port)
        aws.resume(self.practice)

    def close(self) -> None:
        aws.close(self.practice)
        self.practice.executor.close()
        self.ports.close()


class Home:
    """``seatrial practice`` with a home and ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = [free_port() for _ in range(3)]

    def seatrial(self, *words: str, code: int = 0) -> str:
        environment = {**os.environ, "SEATRIAL_HOME": str(self.folder)}
        done = subprocess.run([sys.executable, "-m", "jobs.control.cli", "practice", *words], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr + done.stdout
        return done.stdout + done.stderr

    def up(self) -> dict[str, Any]:
        flags = [word for option, port in zip(("--page-port", "--aws-port", "--azure-port"), self.ports, strict=True) for word in (option, str(port))]
        return json.loads(self.seatrial("up", *flags, "--output", "json"))  # type: ignore[no-any-return]


class Daemon(Clients):
    """The whole service in the background; another one over the same folder finds what survives."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder)
        (folder / "practice").mkdir(parents=True, exist_ok=True)
        add_image(Images(folder / "practice"), folder)
        self.record = self.home.up()
        self.url = self.record["aws"]

    def close(self) -> None:
        self.home.seatrial("down")


def add_image(images: Images, folder: Path) -> None:
    """``tests:1``: this environment with a ``serve`` and a ``train`` of its own."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    for name, text in (("serve", SERVE.format(python=sys.executable)), ("train", '#!/bin/sh\nexec python "$SCRIPT"\n')):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    images.add(IMAGE, sys.executable, str(programs))


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """What the condition gives, once it is true."""
    limit = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < limit, "did not happen in time"
        time.sleep(0.05)
    return found


def program(script: str) -> str:
    """The path of a script: the service takes arguments of one line and 256 characters only."""
    path = Path(tempfile.gettempdir()) / "seatrial-practice-tests" / f"{hashlib.sha256(script.encode()).hexdigest()[:16]}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(script)
    return str(path)


def training(name: str, script: str = "pass", **more: Any) -> dict[str, Any]:
    """CreateTrainingJob of a Python script; keys given replace the defaults."""
    algorithm = {"TrainingImage": IMAGE, "TrainingInputMode": "File", "ContainerEntrypoint": ["python", program(script)]}
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": algorithm | more.pop("algorithm", {}),
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "ResourceConfig": SMALL,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        **more,
    }


def channel(name: str, uri: str, **more: Any) -> dict[str, Any]:
    return {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri, **more}}}


def training_ended(client: Any, name: str, seconds: float = 30) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = client.describe_training_job(TrainingJobName=name)
        return found if found["TrainingJobStatus"] in ("Completed", "Failed", "Stopped") else None

    return wait_for(look, seconds)  # type: ignore[no-any-return]


def secondaries(description: dict[str, Any]) -> list[str]:
    return [each["Status"] for each in description["SecondaryStatusTransitions"]]


def packed(files: dict[str, str]) -> bytes:
    """A ``tar.gz`` of texts."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def unpacked(body: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        return {entry.name: archive.extractfile(entry).read().decode() for entry in archive if entry.isfile()}  # type: ignore[union-attr]


def log_lines(service: Clients, group: str, prefix: str) -> list[str]:
    logs = service.client("logs")
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)["logStreams"]
    return [event["message"] for stream in streams for event in logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]]


def model(service: Clients, name: str, text: str = "hello", **container: Any) -> None:
    """CreateModel of a model that answers with a text."""
    service.client("s3").put_object(Bucket=BUCKET, Key=f"models/{name}.tar.gz", Body=packed({"text": text}))
    primary = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/models/{name}.tar.gz", **container}
    service.client().create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=primary)


def variant(name: str, model: str, weight: float = 1.0) -> dict[str, Any]:
    return {"VariantName": name, "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1, "InitialVariantWeight": weight}


def endpoint(service: Clients, name: str, *variants: dict[str, Any], **config: Any) -> dict[str, Any]:
    """An endpoint that was created and has settled."""
    client = service.client()
    client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=list(variants), **config)
    client.create_endpoint(EndpointName=name, EndpointConfigName=name)
    return settled(client, name)


def settled(client: Any, name: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = client.describe_endpoint(EndpointName=name)
        return found if found["EndpointStatus"] in ("InService", "Failed") else None

    return wait_for(look)  # type: ignore[no-any-return]


def group(client: Any, name: str) -> str:
    """A package group with one version; the version's ARN."""
    client.create_model_package_group(ModelPackageGroupName=name)
    return str(client.create_model_package(ModelPackageGroupName=name, InferenceSpecification=specification())["ModelPackageArn"])


def specification() -> dict[str, Any]:
    kinds = {"SupportedContentTypes": ["text/plain"], "SupportedResponseMIMETypes": ["text/plain"]}
    return {"Containers": [{"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/models/m.tar.gz"}], **kinds}


def processing(name: str, script: str = "pass", **more: Any) -> dict[str, Any]:
    return {
        "ProcessingJobName": name,
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["python", program(script)]},
        "ProcessingResources": {"ClusterConfig": SMALL},
        **more,
    }


def transform(name: str, model: str, source: str, **more: Any) -> dict[str, Any]:
    return {
        "TransformJobName": name,
        "ModelName": model,
        "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": source}}, "SplitType": "Line"},
        "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/scored", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        **more,
    }


def tuning(name: str, script: str = "print('loss=1.0')", strategy: str = "Random", most: int = 2, **config: Any) -> dict[str, Any]:
    definition = training("unused", script)
    definition.pop("TrainingJobName")
    metrics = [{"Name": "loss", "Regex": "loss=([-0-9.e]+)"}]
    definition["AlgorithmSpecification"] = {"TrainingImage": IMAGE, "TrainingInputMode": "File", "MetricDefinitions": metrics}  # runs the image's `train`
    definition["Environment"] = {"SCRIPT": program(script)}
    ranges = {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "0.1", "MaxValue": "10"}]}
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": strategy,
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": most, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": ranges,
            "RandomSeed": 7,
            **config,
        },
        "TrainingJobDefinition": definition,
    }


def job_ended(describe: Callable[[], dict[str, Any]], status: str, seconds: float = 30) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = describe()
        return found if found[status] in ("Completed", "Failed", "Stopped") else None

    return wait_for(look, seconds)  # type: ignore[no-any-return]

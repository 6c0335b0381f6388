"""``seatrial practice`` as its user has it: a real background service, found again by every command."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest

from tests.cloud.practice.service import Home, wait_for


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = Home(tmp_path_factory.mktemp("home"))
    yield home
    home.seatrial("down")


def test_up_is_quick_and_twice_is_once(home: Home) -> None:
    started = time.monotonic()
    record = home.up()
    assert time.monotonic() - started < 5
    assert home.up() == record
    assert json.loads(home.seatrial("status", "--output", "json"))["up"] is True
    listening = {connection.laddr.ip for connection in psutil.Process(record["pid"]).net_connections("tcp") if connection.status == "LISTEN"}
    assert listening == {"127.0.0.1"}


def test_the_printed_variables_lead_a_plain_program_there(home: Home) -> None:
    home.up()
    program = (
        "import boto3; print(boto3.client('sts').get_caller_identity()['Account'], boto3.client('sagemaker').list_training_jobs()['TrainingJobSummaries'])"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = {**clean, "SEATRIAL_HOME": str(home.folder), "PYTHONPATH": os.getcwd(), "AWS_PROFILE": "somebody-elses"}
    script = f'eval "$({sys.executable} -m jobs.control.cli practice env)" && {sys.executable} -c "{program}"'
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "123456789012 []\n", done.stderr
    chosen = json.loads(home.seatrial("env", "--output", "json"))
    assert home.seatrial("env", "--unset").split() == ["unset", *chosen]


def test_the_guides_program_runs_as_it_stands(home: Home, tmp_path: Path) -> None:
    home.up()
    home.seatrial("image", "add", "mine:1", "--python", sys.executable)
    program = re.search(r"```python\n(.*?)```", (Path(__file__).parents[3] / "docs/guides/practice.md").read_text(), re.DOTALL)
    assert program is not None
    environment = {**os.environ, **json.loads(home.seatrial("env", "--output", "json"))}
    done = subprocess.run([sys.executable, "-c", program[1]], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "Completed 0.25 s3://sagemaker-eu-west-1-123456789012/out/first/output/model.tar.gz\n", done.stderr


def test_drills_and_images(home: Home) -> None:
    home.up()
    assert "armed: quota for the next job that matches a*" in home.seatrial("inject", "quota", "--match", "a*", "--cloud", "aws")
    assert json.loads(home.seatrial("status", "--output", "json"))["injections"][0]["match"] == "a*"
    assert "1 drills disarmed" in home.seatrial("inject", "none")
    home.seatrial("image", "add", "team/mine:2", "--python", sys.executable, "--env", "A=b")
    listed = {each["name"]: each for each in json.loads(home.seatrial("image", "list", "--output", "json"))}
    assert listed["team/mine:2"]["environment"] == {"A": "b"}
    assert {"seatrial-ray", "seatrial-spark"} <= {name.split(":")[0] for name in listed}
    assert "team/mine:2" in json.loads(home.seatrial("status", "--output", "json"))["images"]  # the running service knows it at once
    assert home.seatrial("image", "remove", "team/mine:2") == "removed\n"
    assert "no such Python interpreter" in home.seatrial("image", "add", "x", "--python", "/nowhere", code=2)


def test_a_taken_port_is_said(tmp_path: Path, home: Home) -> None:
    home.up()
    other = Home(tmp_path)
    other.ports = home.ports
    assert f"port {home.ports[0]} is in use" in other.seatrial("up", "--page-port", str(home.ports[0]), code=2)
    assert "no practice service is up here" in other.seatrial("status", code=1)
    assert "seatrial practice up" in other.seatrial("env", code=2)
    assert other.seatrial("env", "--unset").startswith("unset AWS_ENDPOINT_URL ")  # the way back is there when the service is not


def client(record: dict[str, Any]) -> Any:
    return boto3.client("sagemaker", region_name="eu-west-1", endpoint_url=record["aws"], aws_access_key_id="practice", aws_secret_access_key="practice")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_goes_on_when_the_service_ends(tmp_path: Path, how: signal.Signals) -> None:
    from cloud.practice.settings import BUCKET, ROLE

    home = Home(tmp_path)
    record = home.up()
    home.seatrial("image", "add", "any:1", "--python", sys.executable)
    seconds = f"54321.{how}"
    request: dict[str, Any] = {
        "TrainingJobName": "long",
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": "any:1", "TrainingInputMode": "File", "ContainerEntrypoint": ["sleep", seconds]},
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    client(record).create_training_job(**request)

    def hosts() -> list[psutil.Process]:
        return [each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == ["sleep", seconds]]

    wait_for(hosts)
    if how == signal.SIGTERM:
        assert home.seatrial("down") == "stopped\n"
        assert not hosts()
    else:
        psutil.Process(record["pid"]).kill()
        wait_for(lambda: not hosts())
    record = home.up()
    try:
        described = client(record).describe_training_job(TrainingJobName="long")
        assert described["FailureReason"] == "InternalServerError: the practice service was stopped while the job ran"
    finally:
        home.seatrial("down")
    assert home.seatrial("down") == "no practice service was up here\n"

"""Processing jobs: inputs from S3 below ``/opt/ml/processing``, any command, outputs back to S3 at the end or as they appear."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cloud.practice.aws import channels, checks, containers, errors
from cloud.practice.aws.jobs import Failed, JobRun, Stopped, first_kilobyte
from cloud.practice.aws.service import Call, now, operation
from cloud.practice.aws.simple_jobs import SimpleJobs
from cloud.practice.aws.store import Document
from cloud.practice.hosts import Ended, Run

_ROOT = "/opt/ml/processing"
_DAY = 86400
_SUMMARY = (
    "ProcessingJobName",
    "ProcessingJobArn",
    "CreationTime",
    "ProcessingEndTime",
    "LastModifiedTime",
    "ProcessingJobStatus",
    "FailureReason",
    "ExitMessage",
)


class ProcessingRun(JobRun):
    kind, prefix = "processing", "ProcessingJob"

    def work(self) -> None:
        self._params: dict[str, Any] = dict(self.document)
        self._copied: dict[str, dict[Path, tuple[float, int]]] = {}
        image = self.pull_image(self._params["AppSpecification"]["ImageUri"])
        loss = self.service.practice.injections.take("host-failure", "aws", self.name)
        cluster = self._params["ProcessingResources"]["ClusterConfig"]
        hosts = containers.host_names(cluster["InstanceCount"])
        for index, host in enumerate(hosts):
            self._furnish(host, index, hosts)
        application = self._params["AppSpecification"]
        command = [*application.get("ContainerEntrypoint", ["process"]), *application.get("ContainerArguments", [])]
        environment = {
            "PROCESSING_JOB_NAME": self.name,
            "PROCESSING_JOB_ARN": self._params["ProcessingJobArn"],
            **containers.variables(self.service, self.region),
            **self._params.get("Environment", {}),
        }
        seconds = self._params.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", _DAY)
        group = containers.group(self.service, self.name, self.folder, image, command, environment, hosts, seconds=seconds)
        self.change(ProcessingStartTime=now())
        self.service.event(self.kind, self.name, "Running")
        lost = False

        def look(run: Run) -> None:
            nonlocal lost
            self._upload("Continuous")
            if loss and not lost and now() - self.document["ProcessingStartTime"] >= loss.seconds:
                lost = True
                run.kill(hosts[-1])

        ended = self.run(group, look, every=0.5)
        self._say(hosts)
        self._judge(ended, lost)
        self._upload("EndOfJob")
        self._upload("Continuous")

    def _judge(self, ended: Ended, lost: bool) -> None:
        if self.stopping.is_set():
            raise Stopped
        if ended.reason == "time":
            raise Failed("ClientError: The job exceeded its MaxRuntimeInSeconds and was stopped")
        if ended.reason == "memory":
            raise Failed("ClientError: Please use an instance type with more memory, or reduce the size of data processed on an instance.")
        if lost:
            raise Failed("InternalServerError: We encountered an internal error. Please try again. (a host was lost)")
        if not ended.succeeded:
            raise Failed(f"AlgorithmError: See job logs for more information, exit code: {ended.codes[ended.failed_host]}")

    def _furnish(self, host: str, index: int, hosts: list[str]) -> None:
        ml = self.folder / host / "ml"
        config = ml / "config"
        config.mkdir(parents=True, exist_ok=True)
        request = {key: value for key, value in self._params.items() if not key.startswith("_")}
        config.joinpath("processingjobconfig.json").write_text(json.dumps(request))
        config.joinpath("resourceconfig.json").write_text(json.dumps({"current_host": host, "hosts": hosts, "network_interface_name": "lo"}))
        (ml / "output").mkdir(exist_ok=True)
        (ml / "processing").mkdir(exist_ok=True)
        for each in self._params.get("ProcessingInputs", []):
            source = each["S3Input"]
            target = _inside(ml, source["LocalPath"])
            channels.fetch(self.service, source, target, index, len(hosts), f"input {each['InputName']}")
        for each in self._outputs():
            _inside(ml, each["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)

    def _outputs(self) -> list[dict[str, Any]]:
        return [each for each in self._params.get("ProcessingOutputConfig", {}).get("Outputs", []) if "S3Output" in each]

    def _upload(self, mode: str) -> None:
        for each in self._outputs():
            output = each["S3Output"]
            if output["S3UploadMode"] == mode:
                for ml in sorted(self.folder.glob("*/ml")):
                    known = self._copied.setdefault(f"{each['OutputName']} {ml}", {})
                    channels.upload(self.service, _inside(ml, output["LocalPath"]), output["S3Uri"], known)
                if mode == "EndOfJob":
                    self.service.practice.events.note("aws", self.kind, self.name, artefacts={output["S3Uri"]: ""})

    def _say(self, hosts: list[str]) -> None:
        messages = [first_kilobyte(self.folder / host / "ml/output/message") for host in hosts]
        if message := next(filter(None, messages), ""):
            self.change(ExitMessage=message)

    def finish(self, status: str, reason: str = "") -> None:
        self.change(ProcessingEndTime=now())
        super().finish(status, reason)


class Processing(SimpleJobs):
    kind, prefix, resource, run = "processing", "ProcessingJob", "processing-job", ProcessingRun

    @operation("CreateProcessingJob")
    def create(self, call: Call) -> Document:
        checks.role(call["RoleArn"])
        checks.image(self._service, call["AppSpecification"]["ImageUri"], "ImageUri")
        inputs = call.get("ProcessingInputs", [])
        outputs = call.get("ProcessingOutputConfig", {}).get("Outputs", [])
        checks.unique([each["InputName"] for each in inputs], "input names")
        checks.unique([each["OutputName"] for each in outputs], "output names")
        for each in inputs:
            if "S3Input" not in each:
                raise errors.validation(f"Input {each['InputName']}: practice reads S3Input only")
            if each["S3Input"].get("S3InputMode", "File") != "File":
                raise errors.validation(f"Input {each['InputName']}: practice has no Pipe mode; use File")
            if "LocalPath" not in each["S3Input"]:
                raise errors.validation(f"Input {each['InputName']}: LocalPath is required in File mode")
            checks.absolute_under(each["S3Input"]["LocalPath"], _ROOT, f"LocalPath of input {each['InputName']}")
        for each in outputs:
            if "S3Output" in each:
                checks.absolute_under(each["S3Output"].get("LocalPath", ""), _ROOT, f"LocalPath of output {each['OutputName']}")
        checks.buckets(self._service, {"in": inputs, "out": outputs})
        document = self._record(call)
        ProcessingRun(self._service, call.region, call["ProcessingJobName"]).begin()
        return {"ProcessingJobArn": document["ProcessingJobArn"]}

    @operation("DescribeProcessingJob")
    def describe(self, call: Call) -> Document:
        return self._describe(call)

    @operation("StopProcessingJob")
    def stop(self, call: Call) -> Document:
        return self._stop(call)

    @operation("DeleteProcessingJob")
    def delete(self, call: Call) -> Document:
        return self._delete(call)

    @operation("ListProcessingJobs")
    def list(self, call: Call) -> Document:
        return self._list(call, "ProcessingJobSummaries", lambda each: {key: each.get(key) for key in _SUMMARY})


def _inside(ml: Path, path: str) -> Path:
    """A path of the container as it lies here."""
    return ml / path.removeprefix("/opt/ml/").rstrip("/")

"""Training jobs: the operations. What a job does is in ``training_run``."""

from __future__ import annotations

from typing import Any

from cloud.practice.aws import checks, errors
from cloud.practice.aws.jobs import STOPPED_WITH_SERVICE
from cloud.practice.aws.service import Call, Service, listing, now, operation
from cloud.practice.aws.store import Document, shown
from cloud.practice.aws.tags import Tags
from cloud.practice.aws.training_run import TrainingRun

KIND = "training"
_SUMMARY = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime", "TrainingJobStatus", "SecondaryStatus")
_CONTAINER_OUTPUT = ("ClientRequestToken", "Tags")


class Training:
    def __init__(self, service: Service, tags: Tags) -> None:
        self._service, self._tags = service, tags

    @operation("CreateTrainingJob")
    def create(self, call: Call) -> Document:
        self.check(call.params)
        if self._service.store.get(call.region, KIND, call["TrainingJobName"]):
            raise errors.in_use(
                "Training job names must be unique within an AWS account and region, and a training job with this name already exists "
                f"({self._service.arn(call.region, 'training-job', call['TrainingJobName'])})"
            )
        document = self.start(call.region, call.params)
        return {"TrainingJobArn": document["TrainingJobArn"]}

    def check(self, params: Document) -> None:
        algorithm = params["AlgorithmSpecification"]
        checks.role(params["RoleArn"])
        if bool(algorithm.get("TrainingImage")) == bool(algorithm.get("AlgorithmName")):
            raise errors.validation("You must specify exactly one of TrainingImage and AlgorithmName in AlgorithmSpecification")
        if algorithm.get("AlgorithmName"):
            raise errors.validation(f"Could not find algorithm {algorithm['AlgorithmName']}: practice runs images only")
        checks.image(self._service, algorithm["TrainingImage"], "TrainingImage")
        if "ResourceConfig" not in params or "StoppingCondition" not in params:
            raise errors.validation("ResourceConfig and StoppingCondition are required")
        _check_resources(params["ResourceConfig"])
        checks.stopping_condition(params)
        channels = params.get("InputDataConfig", [])
        checks.unique([channel["ChannelName"] for channel in channels], "channel names")
        for channel in channels:
            if "S3DataSource" not in channel["DataSource"]:
                raise errors.validation(f"Channel {channel['ChannelName']}: practice reads S3DataSource only")
            if "Pipe" in (channel.get("InputMode"), algorithm["TrainingInputMode"]) and channel.get("InputMode") not in ("File", "FastFile"):
                raise errors.validation(f"Channel {channel['ChannelName']}: practice has no Pipe mode; use File or FastFile")
        checks.buckets(self._service, {key: params.get(key) for key in ("InputDataConfig", "OutputDataConfig", "CheckpointConfig")})

    def start(self, region: str, params: Document, **more: Any) -> Document:
        """Record a job and begin it; ``more`` are further fields of its description."""
        name, created = params["TrainingJobName"], now()
        arn = self._service.arn(region, "training-job", name)
        document = {key: value for key, value in params.items() if key not in _CONTAINER_OUTPUT}
        document |= {
            "TrainingJobArn": arn,
            "CreationTime": created,
            "LastModifiedTime": created,
            "TrainingJobStatus": "InProgress",
            "SecondaryStatus": "Starting",
            "SecondaryStatusTransitions": [],
            "EnableNetworkIsolation": params.get("EnableNetworkIsolation", False),
            "EnableInterContainerTrafficEncryption": params.get("EnableInterContainerTrafficEncryption", False),
            "EnableManagedSpotTraining": params.get("EnableManagedSpotTraining", False),
            "ProfilingStatus": "Disabled",
            **more,
        }
        self._service.store.put(region, KIND, name, document)
        self._tags.put(region, arn, params.get("Tags", []))
        self._service.practice.events.begin("aws", KIND, name, params)
        TrainingRun(self._service, region, name).begin()
        return document

    def find(self, region: str, name: str) -> Document:
        document = self._service.store.get(region, KIND, name)
        if document is None:
            raise errors.validation("Requested resource not found.")
        return document

    @operation("DescribeTrainingJob")
    def describe(self, call: Call) -> Document:
        return shown(self.find(call.region, call["TrainingJobName"]))

    @operation("StopTrainingJob")
    def stop(self, call: Call) -> Document:
        document = self.find(call.region, call["TrainingJobName"])
        if document["TrainingJobStatus"] not in ("InProgress", "Stopping"):
            status = document["TrainingJobStatus"]
            raise errors.validation(f"The request was rejected because the training job is in status {status}.")
        running = self._service.live.get(call.region, KIND, call["TrainingJobName"])
        if running is not None:
            running.stop()
        return {}

    @operation("UpdateTrainingJob")
    def update(self, call: Call) -> Document:
        document = self.find(call.region, call["TrainingJobName"])
        if document["TrainingJobStatus"] != "InProgress":
            raise errors.validation(f"The training job is in status {document['TrainingJobStatus']} and cannot be updated")
        if (
            "ResourceConfig" in call.params
            and call["ResourceConfig"].get("KeepAlivePeriodInSeconds") is not None
            and "KeepAlivePeriodInSeconds" not in document["ResourceConfig"]
        ):
            raise errors.validation("KeepAlivePeriodInSeconds can only be updated for a job that was created with a warm pool")
        with self._service.store.changing(call.region, KIND, call["TrainingJobName"]) as changed:
            changed["ResourceConfig"] = {**changed["ResourceConfig"], **call.get("ResourceConfig", {})}
            for key in ("ProfilerConfig", "ProfilerRuleConfigurations", "RemoteDebugConfig"):
                if key in call.params:
                    changed[key] = call[key]
        return {"TrainingJobArn": document["TrainingJobArn"]}

    @operation("DeleteTrainingJob")
    def delete(self, call: Call) -> Document:
        document = self.find(call.region, call["TrainingJobName"])
        if document["TrainingJobStatus"] in ("InProgress", "Stopping"):
            raise errors.in_use(f"Training job {call['TrainingJobName']} is in status {document['TrainingJobStatus']}; stop it first")
        self._service.store.remove(call.region, KIND, call["TrainingJobName"])
        return {}

    @operation("ListTrainingJobs")
    def list(self, call: Call) -> Document:
        documents = self._service.store.all(call.region, KIND)
        return listing(call, documents, key="TrainingJobSummaries", summary=summary, name="TrainingJobName", status="TrainingJobStatus")

    def resume(self) -> None:
        """After a restart: what ran is failed."""
        for document in self._service.store.everywhere(KIND):
            if document["TrainingJobStatus"] in ("InProgress", "Stopping"):
                run = TrainingRun(self._service, document["_region"], document["_name"])
                run.step("Failed", STOPPED_WITH_SERVICE)
                run.finish("Failed", STOPPED_WITH_SERVICE)


def summary(document: Document) -> Document:
    return {key: document.get(key) for key in _SUMMARY}


def _check_resources(resources: Document) -> None:
    grouped, single = "InstanceGroups" in resources, "InstanceType" in resources or "InstanceCount" in resources
    if grouped == single:
        raise errors.validation("ResourceConfig must have either InstanceGroups or InstanceType and InstanceCount")
    if single and not ("InstanceType" in resources and resources.get("InstanceCount", 0) >= 1):
        raise errors.validation("ResourceConfig must have InstanceType and an InstanceCount of at least 1")

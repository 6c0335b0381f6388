"""Tuning jobs: training jobs with other hyperparameters each, and the best by one metric."""

from __future__ import annotations

import random
import statistics
import time
import uuid
from typing import Any

from cloud.practice.aws import checks, errors, search_space
from cloud.practice.aws.jobs import Failed, JobRun
from cloud.practice.aws.service import Call, Service, listing, now, operation
from cloud.practice.aws.simple_jobs import SimpleJobs
from cloud.practice.aws.store import Document
from cloud.practice.aws.tags import Tags
from cloud.practice.aws.training import KIND as TRAINING
from cloud.practice.aws.training import Training

_TUNING_ARN = "TuningJobArn"
_LOOK = 0.2  # seconds between two looks at the training jobs
_DONE = ("Completed", "Failed", "Stopped")
_LEARNED = 3  # reports of finished jobs before early stopping judges anybody


class TuningRun(JobRun):
    kind, prefix = "tuning", "HyperParameterTuningJob"

    def work(self) -> None:
        self._training = Training(self.service, Tags(self.service))
        params = self.document
        config = params["HyperParameterTuningJobConfig"]
        self._config = config
        generator = random.Random(config.get("RandomSeed", self.name))  # noqa: S311
        definition = params.get("TrainingJobDefinition") or params["TrainingJobDefinitions"][0]
        ranges = definition.get("HyperParameterRanges") or config.get("ParameterRanges", {})
        points = search_space.grid(ranges) if config["Strategy"] == "Grid" else []
        limits = config["ResourceLimits"]
        wanted = len(points) or limits["MaxNumberOfTrainingJobs"]
        started: list[str] = []
        while not self.stopping.is_set():
            mine = self._mine()
            running = [each for each in mine if each["TrainingJobStatus"] not in _DONE]
            if len(started) >= wanted and not running:
                break
            while len(running) < limits["MaxParallelTrainingJobs"] and len(started) < wanted:
                point = points[len(started)] if points else search_space.draw(ranges, generator)
                running.append(self._start(definition, point, len(started) + 1))
                started.append(running[-1]["TrainingJobName"])
            self._stop_early(mine)
            self._count(mine)
            self.stopping.wait(_LOOK)
        if self.stopping.is_set():
            self._stop_all()
        self._count(self._mine())
        if not self.stopping.is_set() and not any(each["TrainingJobStatus"] == "Completed" for each in self._mine()):
            raise Failed("No training job succeeded after the first training jobs; see their failure reasons")
        if self.stopping.is_set():
            self.pause(0)

    def _start(self, definition: Document, point: dict[str, str], number: int) -> Document:
        objective = definition.get("TuningObjective") or self._config["HyperParameterTuningJobObjective"]
        name = f"{self.name}-{number:03d}-{uuid.uuid4().hex[:8]}"
        fixed = {**definition.get("StaticHyperParameters", {}), "_tuning_objective_metric": objective["MetricName"]}
        kept = (
            "AlgorithmSpecification",
            "RoleArn",
            "InputDataConfig",
            "OutputDataConfig",
            "ResourceConfig",
            "StoppingCondition",
            "VpcConfig",
            "EnableManagedSpotTraining",
            "CheckpointConfig",
            "RetryStrategy",
            "Environment",
        )
        request = {key: definition[key] for key in kept if key in definition}
        request |= {"TrainingJobName": name, "HyperParameters": {**fixed, **point}}
        return self._training.start(self.region, request, **{_TUNING_ARN: self.document["HyperParameterTuningJobArn"], "_tuned": point})

    def _mine(self) -> list[Document]:
        return children(self.service, self.region, self.document)

    def _objective(self) -> tuple[str, bool]:
        definition = self.document.get("TrainingJobDefinition") or {}
        objective = definition.get("TuningObjective") or self._config["HyperParameterTuningJobObjective"]
        return objective["MetricName"], objective["Type"] == "Minimize"

    def _count(self, mine: list[Document]) -> None:
        """The counters of Describe, and the best job so far."""
        states = [each["TrainingJobStatus"] for each in mine]
        counters = {"Completed": states.count("Completed"), "InProgress": sum(state not in _DONE for state in states)}
        counters |= {"RetryableError": 0, "NonRetryableError": states.count("Failed"), "Stopped": states.count("Stopped")}
        metric, smaller = self._objective()
        judged = [(value, each) for each in mine if each["TrainingJobStatus"] == "Completed" and (value := _metric(each, metric)) is not None]
        objective = {"Succeeded": len(judged), "Pending": counters["InProgress"], "Failed": counters["Completed"] - len(judged)}
        fields: dict[str, Any] = {"TrainingJobStatusCounters": counters, "ObjectiveStatusCounters": objective}
        if judged:
            best = (min if smaller else max)(judged, key=lambda pair: pair[0])[1]
            fields["BestTrainingJob"] = summary(best, metric)
        self.change(**fields)

    def _stop_early(self, mine: list[Document]) -> None:
        """``Auto``: a job whose metric is worse than the median of the finished ones at the same report is stopped."""
        if self._config.get("TrainingJobEarlyStoppingType") != "Auto":
            return
        metric, smaller = self._objective()
        done = [_history(each, metric) for each in mine if each["TrainingJobStatus"] == "Completed"]
        for each in mine:
            reports = _history(each, metric)
            others = [history[len(reports) - 1] for history in done if reports and len(history) >= len(reports)]
            if each["TrainingJobStatus"] != "InProgress" or len(others) < _LEARNED:
                continue
            middle = statistics.median(others)
            if (reports[-1] > middle) if smaller else (reports[-1] < middle):
                running = self.service.live.get(self.region, TRAINING, each["TrainingJobName"])
                if running is not None:
                    running.stop()

    def _stop_all(self) -> None:
        for each in self._mine():
            running = self.service.live.get(self.region, TRAINING, each["TrainingJobName"])
            if running is not None:
                running.stop()
        while any(each["TrainingJobStatus"] not in _DONE for each in self._mine()):
            time.sleep(_LOOK)

    def finish(self, status: str, reason: str = "") -> None:
        self.change(HyperParameterTuningEndTime=now())
        super().finish(status, reason)


def children(service: Service, region: str, document: Document) -> list[Document]:
    return [each for each in service.store.all(region, TRAINING) if each.get(_TUNING_ARN) == document["HyperParameterTuningJobArn"]]


def _metric(document: Document, name: str) -> float | None:
    return next((each["Value"] for each in document.get("FinalMetricDataList", []) if each["MetricName"] == name), None)


def _history(document: Document, name: str) -> list[float]:
    return [value for metric, value, _ in document.get("_history", []) if metric == name]


def summary(document: Document, metric: str) -> Document:
    """A training job as a tuning job lists it."""
    keys = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingStartTime", "TrainingEndTime", "TrainingJobStatus", "FailureReason")
    found = {key: document[key] for key in keys if key in document} | {"TunedHyperParameters": document.get("_tuned", {})}
    value = _metric(document, metric)
    if value is not None:
        found["FinalHyperParameterTuningJobObjectiveMetric"] = {"MetricName": metric, "Value": value}
    if document["TrainingJobStatus"] in _DONE:
        found["ObjectiveStatus"] = "Succeeded" if value is not None and document["TrainingJobStatus"] == "Completed" else "Failed"
    return found


class Tuning(SimpleJobs):
    kind, prefix, resource, run = "tuning", "HyperParameterTuningJob", "hyper-parameter-tuning-job", TuningRun

    def __init__(self, service: Service, tags: Tags, training: Training) -> None:
        super().__init__(service, tags)
        self._training = training

    @operation("CreateHyperParameterTuningJob")
    def create(self, call: Call) -> Document:
        config = call["HyperParameterTuningJobConfig"]
        definitions = call.get("TrainingJobDefinitions") or ([call["TrainingJobDefinition"]] if "TrainingJobDefinition" in call.params else [])
        if len(definitions) != 1:
            raise errors.validation("practice tunes exactly one TrainingJobDefinition")
        definition = definitions[0]
        ranges = definition.get("HyperParameterRanges") or config.get("ParameterRanges", {})
        if not search_space.names(ranges):
            raise errors.validation("At least one hyperparameter range is required")
        checks.unique([*search_space.names(ranges), *definition.get("StaticHyperParameters", {})], "hyperparameters")
        _check_ranges(config, ranges)
        limits = config["ResourceLimits"]
        if "MaxNumberOfTrainingJobs" not in limits and config["Strategy"] != "Grid":
            raise errors.validation("MaxNumberOfTrainingJobs is required for this strategy")
        if limits["MaxParallelTrainingJobs"] > limits.get("MaxNumberOfTrainingJobs", limits["MaxParallelTrainingJobs"]):
            raise errors.validation("MaxParallelTrainingJobs must not be greater than MaxNumberOfTrainingJobs")
        objective = definition.get("TuningObjective") or config.get("HyperParameterTuningJobObjective")
        if not objective:
            raise errors.validation("HyperParameterTuningJobObjective is required")
        known = [each["Name"] for each in definition["AlgorithmSpecification"].get("MetricDefinitions", [])]
        if objective["MetricName"] not in known:
            raise errors.validation(f"The objective metric {objective['MetricName']} is not among the metric definitions: {known}")
        self._training.check(definition)
        zero = {"Completed": 0, "InProgress": 0, "RetryableError": 0, "NonRetryableError": 0, "Stopped": 0}
        document = self._record(call, TrainingJobStatusCounters=zero, ObjectiveStatusCounters={"Succeeded": 0, "Pending": 0, "Failed": 0})
        TuningRun(self._service, call.region, call["HyperParameterTuningJobName"]).begin()
        return {"HyperParameterTuningJobArn": document["HyperParameterTuningJobArn"]}

    @operation("DescribeHyperParameterTuningJob")
    def describe(self, call: Call) -> Document:
        return self._describe(call)

    @operation("StopHyperParameterTuningJob")
    def stop(self, call: Call) -> Document:
        return self._stop(call)

    @operation("DeleteHyperParameterTuningJob")
    def delete(self, call: Call) -> Document:
        return self._delete(call)

    @operation("ListHyperParameterTuningJobs")
    def list(self, call: Call) -> Document:
        def brief(document: Document) -> Document:
            keys = ("HyperParameterTuningJobName", "HyperParameterTuningJobArn", "HyperParameterTuningJobStatus", "CreationTime", "LastModifiedTime")
            more = ("HyperParameterTuningEndTime", "TrainingJobStatusCounters", "ObjectiveStatusCounters")
            config = document["HyperParameterTuningJobConfig"]
            return {key: document.get(key) for key in (*keys, *more)} | {"Strategy": config["Strategy"], "ResourceLimits": config["ResourceLimits"]}

        return self._list(call, "HyperParameterTuningJobSummaries", brief)

    @operation("ListTrainingJobsForHyperParameterTuningJob")
    def children(self, call: Call) -> Document:
        document = self.find(call.region, call["HyperParameterTuningJobName"])
        definition = document.get("TrainingJobDefinition") or document["TrainingJobDefinitions"][0]
        objective = definition.get("TuningObjective") or document["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
        mine = children(self._service, call.region, document)
        answer = listing(
            call,
            mine,
            key="TrainingJobSummaries",
            summary=lambda each: summary(each, objective["MetricName"]),
            name="TrainingJobName",
            status="TrainingJobStatus",
        )
        if call.get("SortBy") == "FinalObjectiveMetricValue":
            nothing = float("inf") if call.get("SortOrder", "Ascending") == "Ascending" else float("-inf")
            answer["TrainingJobSummaries"].sort(
                key=lambda each: each.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value", nothing), reverse=nothing < 0
            )
        return answer


def _check_ranges(config: Document, ranges: Document) -> None:
    if config["Strategy"] == "Grid" and (ranges.get("IntegerParameterRanges") or ranges.get("ContinuousParameterRanges")):
        raise errors.validation("The Grid strategy supports categorical parameters only")
    for each in [*ranges.get("IntegerParameterRanges", []), *ranges.get("ContinuousParameterRanges", [])]:
        try:
            low, high = float(each["MinValue"]), float(each["MaxValue"])
        except ValueError:
            raise errors.validation(f"MinValue and MaxValue of {each['Name']} must be numbers") from None
        if low >= high:
            raise errors.validation(f"MinValue of {each['Name']} must be less than its MaxValue")
        if each.get("ScalingType") == "Logarithmic" and low <= 0:
            raise errors.validation(f"MinValue of {each['Name']} must be greater than 0 with Logarithmic scaling")

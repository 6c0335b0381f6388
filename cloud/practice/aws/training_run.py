"""What a training job does: image, channels, hosts, artefacts; and its ways to end.

``Starting -> Downloading -> Training -> Uploading -> Completed``; a spot job whose hosts are taken goes ``Interrupted -> Restarting``
and on from its checkpoints; a broken time limit ends as ``Stopped`` with ``MaxRuntimeExceeded`` and keeps the model.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any

from cloud.practice.aws import archives, containers, training_files
from cloud.practice.aws.jobs import Failed, JobRun, Stopped, first_kilobyte
from cloud.practice.aws.objects import joined
from cloud.practice.aws.service import now
from cloud.practice.hosts import Ended, Run
from cloud.practice.inject import Injection

_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading the training image and the input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "Interrupted": "Training job interrupted: the spot instances were reclaimed",
    "Restarting": "Restarting the training job",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds",
    "MaxWaitTimeExceeded": "Training job wait time exceeded MaxWaitTimeInSeconds",
    "Failed": "Training job failed",
}
_SYNC = 2.0  # seconds between two copies of checkpoints to S3 while the job runs


class TrainingRun(JobRun):
    kind, prefix = "training", "TrainingJob"

    def work(self) -> None:
        document = self.document
        self._params: dict[str, Any] = dict(document)
        self._checkpoints = training_files.Checkpoints(self.service, self._params, self.folder)
        self._seen: dict[str, float] = {}  # metric -> last value, since the last look
        self._history: list[list[Any]] = []
        self._metrics_lock = threading.Lock()
        self._metrics = [(each["Name"], re.compile(each["Regex"])) for each in document["AlgorithmSpecification"].get("MetricDefinitions", [])]
        self._created = document["CreationTime"]
        self._trained = 0.0
        attempts = document.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0)
        self._ended_by = ""
        self.step("Starting", _MESSAGES["Starting"])
        while (again := self._attempt()) != "":
            if again == "host" and (attempts := attempts - 1) < 0:
                raise Failed("InternalServerError: We encountered an internal error. Please try again. (a host was lost)")
            if self._waited_too_long():
                self._ended_by = "MaxWaitTimeExceeded"
                break
            self.step("Restarting", _MESSAGES["Restarting"])
            self.step("Starting", _MESSAGES["Starting"])
        self._upload()
        if self._ended_by:
            self.finish_as(self._ended_by)
            raise Stopped

    def _attempt(self) -> str:
        """One start of the hosts. What to start again for: "spot", "host", or "" when the work has ended."""
        image = self.pull_image(self._params["AlgorithmSpecification"]["TrainingImage"])
        self.step("Downloading", _MESSAGES["Downloading"])
        hosts = containers.host_names(training_files.host_count(self._params))
        self._taken = self._lost = False
        training_files.furnish(self.service, self._params, self.folder, hosts)
        if self.stopping.is_set():
            raise Stopped
        algorithm = self._params["AlgorithmSpecification"]
        command = [*algorithm.get("ContainerEntrypoint", ["train"]), *algorithm.get("ContainerArguments", [])]
        environment = {
            "TRAINING_JOB_NAME": self.name,
            "TRAINING_JOB_ARN": self._params["TrainingJobArn"],
            **containers.variables(self.service, self.region),
            **self._params.get("Environment", {}),
        }
        longest = self._params["StoppingCondition"].get("MaxRuntimeInSeconds", 86400) - self._trained
        group = containers.group(self.service, self.name, self.folder, image, command, environment, hosts, seconds=max(0.1, longest))
        self._checkpoints.share(group)
        self.step("Training", _MESSAGES["Training"])
        if "TrainingStartTime" not in self.document:
            self.change(TrainingStartTime=now())
        started = time.monotonic()
        ended = self.run(group, _Watch(self, started, is_spot=self._params["EnableManagedSpotTraining"]).look, every=0.25)
        self._trained += time.monotonic() - started
        self.sync()
        return self._judge(ended)

    def _judge(self, ended: Ended) -> str:
        if self._taken:
            self.step("Interrupted", _MESSAGES["Interrupted"])
            return "spot"
        if self.stopping.is_set():
            self.step("Stopping", _MESSAGES["Stopping"])
            self._upload()
            raise Stopped
        if ended.reason == "time":
            self._ended_by = "MaxRuntimeExceeded"
            return ""
        if ended.reason == "memory":
            raise Failed("ClientError: Please use an instance type with more memory, or reduce the size of training data processed on an instance.")
        if self._lost:
            return "host"
        if not ended.succeeded:
            told = first_kilobyte(self.folder / ended.failed_host / "ml/output/failure")
            raise Failed(f"AlgorithmError: {told or 'the container gave no reason; see its log'}, exit code: {ended.codes[ended.failed_host]}")
        return ""

    _taken = _lost = False

    def take_hosts(self, run: Run) -> None:
        """The spot market wants its instances back: SIGTERM, 120 s, gone."""
        self._taken = True
        run.stop()

    def lose_host(self, run: Run) -> None:
        self._lost = True
        run.kill(run.group.hosts[-1].name)

    def _waited_too_long(self) -> bool:
        longest = self._params["StoppingCondition"].get("MaxWaitTimeInSeconds")
        return bool(longest) and time.time() - self._created > longest

    def _upload(self) -> None:
        """One ``model.tar.gz`` over all hosts, and ``output.tar.gz`` when there is any other output."""
        if not any(self.folder.glob("*/ml")):
            return
        self.step("Uploading", _MESSAGES["Uploading"])
        output = self._params["OutputDataConfig"]
        compress = output.get("CompressionType", "GZIP") == "GZIP"
        artefact = archives.upload(
            self.service, sorted(self.folder.glob("*/ml/model")), joined(output["S3OutputPath"], self.name, "output"), "model", compress, always=True
        )
        archives.upload(self.service, sorted(self.folder.glob("*/ml/output/data")), joined(output["S3OutputPath"], self.name, "output"), "output", compress)
        self.change(ModelArtifacts={"S3ModelArtifacts": artefact})
        self.service.practice.events.note("aws", self.kind, self.name, artefacts={artefact: ""})

    def line(self, stream: str, text: str) -> None:
        super().line(stream, text)
        for name, pattern in self._metrics:
            if matched := pattern.search(text):
                self._metric(name, matched)

    def _metric(self, name: str, matched: re.Match[str]) -> None:
        try:
            value = float(matched.group(1))
        except (ValueError, IndexError):
            return
        with self._metrics_lock:
            self._seen[name] = value
            self._history.append([name, value, now()])

    def _record_metrics(self) -> None:
        with self._metrics_lock:
            seen, self._seen = self._seen, {}
            history, self._history = self._history, []
        if not seen:
            return
        with self.service.store.changing(self.region, self.kind, self.name) as document:
            others = [each for each in document.get("FinalMetricDataList", []) if each["MetricName"] not in seen]
            fresh = [{"MetricName": name, "Value": value, "Timestamp": now()} for name, value in seen.items()]
            document["FinalMetricDataList"] = [*others, *fresh]
            if "TuningJobArn" in document:  # early stopping compares reports
                document.setdefault("_history", []).extend(history)

    def sync(self) -> None:
        """Bring metrics to the description and checkpoints to S3."""
        self._record_metrics()
        self._checkpoints.sync()

    def look(self) -> None:
        """Often, while the hosts run."""
        self._record_metrics()

    def stop(self) -> None:
        with self.service.store.changing(self.region, self.kind, self.name) as document:
            if document["TrainingJobStatus"] != "InProgress":
                return
            document["TrainingJobStatus"] = "Stopping"
        self.step("Stopping", _MESSAGES["Stopping"])
        super().stop()

    def step(self, secondary: str, message: str) -> None:
        """The next secondary status; the one before it ends now. The same one again changes nothing."""
        at = now()
        with self.service.store.changing(self.region, self.kind, self.name) as document:
            transitions = document["SecondaryStatusTransitions"]
            if transitions and transitions[-1]["Status"] == secondary:
                return
            if transitions:
                transitions[-1].setdefault("EndTime", at)
            transitions.append({"Status": secondary, "StartTime": at, "StatusMessage": message})
            document |= {"SecondaryStatus": secondary, "LastModifiedTime": at}
        super().step(secondary, message)

    _secondary = ""

    def finish_as(self, secondary: str) -> None:
        """Remember a secondary status that says more than Stopped."""
        self._secondary = secondary

    def finish(self, status: str, reason: str = "") -> None:
        secondary = self._secondary or status
        self.step(secondary, reason or _MESSAGES[secondary])
        at, document = now(), self.document
        times: dict[str, Any] = {"TrainingEndTime": at}
        if "TrainingStartTime" in document:
            seconds = max(1, round(at - document["TrainingStartTime"]))
            hosts = training_files.host_count(document)
            times |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds * hosts}
        with self.service.store.changing(self.region, self.kind, self.name) as changed:
            changed["SecondaryStatusTransitions"][-1]["EndTime"] = at
            changed.update(times)
        super().finish(status, reason)


class _Watch:
    """Looks at a running group: copies checkpoints, and lets drills happen, also those that are armed meanwhile."""

    def __init__(self, job: TrainingRun, started: float, *, is_spot: bool) -> None:
        self._job, self._started, self._synced = job, started, started
        self._awaited: dict[str, Callable[[Run], None]] = {"host-failure": job.lose_host}
        if is_spot:
            self._awaited["spot-interruption"] = job.take_hosts
        self._taken: dict[str, Injection] = {}

    def look(self, run: Run) -> None:
        at = time.monotonic()
        self._job.look()
        if at - self._synced > _SYNC:
            self._synced = at
            self._job.sync()
        for kind, strike in list(self._awaited.items()):
            drill = self._taken.get(kind) or self._job.service.practice.injections.take(kind, "aws", self._job.name)
            if drill is not None and at - self._started < drill.seconds:
                self._taken[kind] = drill
            elif drill is not None:
                del self._awaited[kind]
                strike(run)

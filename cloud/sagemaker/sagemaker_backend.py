"""The target ``sagemaker``: processing jobs, training jobs and endpoints, through boto3. The store is a prefix of S3.

Handles carry account and region, so every method but ``plan`` works on any of them. Nothing is asked of AWS before one is called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cloud.sagemaker import logs, submission
from cloud.sagemaker.client import Aws
from cloud.sagemaker.handles import ENDPOINT, PRACTICE, PROCESSING, TRAINING, Handle
from cloud.sagemaker.parts import TAG
from cloud.sagemaker.places import place_of
from cloud.sagemaker.registry import SageMakerRegistry
from cloud.sagemaker.states import KINDS, reasons, state_of
from cloud.sagemaker.step_plan import plan_step
from jobs.contracts import storage
from jobs.contracts.errors import RequestError
from jobs.contracts.job import Job
from jobs.contracts.states import JobState
from jobs.control import staging
from jobs.control.backend import Cause
from jobs.control.home import Home
from jobs.control.plan import Plan, Source
from jobs.control.spec import SageMakerTarget, Step

_LISTED = 100  # newest jobs of each kind that `handles` looks at
_TOLD = 50  # last lines of a log in which a cause is looked for


class SageMakerBackend:
    retries = False

    def __init__(self, home: Home, settings: SageMakerTarget) -> None:
        self._home, self._place = home, place_of(settings)
        self._services: dict[tuple[str, str], Aws] = {}
        self.poll = 0.5 if self._place.is_practice else 10.0  # DescribeTrainingJob is throttled at a few requests a second

    def real_place(self) -> str:
        """Whose account everything goes to; empty for practice."""
        return "" if self._place.is_practice else str(self._place)

    def registry(self) -> SageMakerRegistry:
        return SageMakerRegistry(self._place, self.aws())

    def aws(self, account: str = "", region: str = "") -> Aws:
        key = (account or self._place.account, region or self._place.region)
        return self._services.setdefault(key, Aws(*key))

    def _open(self, handle: str) -> tuple[Aws, Handle]:
        parsed = Handle.parse(handle)
        return self.aws(parsed.account, parsed.region), parsed

    def plan(self, step: Step, job: Job, inputs: Mapping[str, Source], code: Source, context: Mapping[str, str], attempt: int = 1) -> Plan:
        return plan_step(self._place, step, job, inputs, code, context, attempt)

    def check(self, plan: Plan) -> list[Cause]:
        found = [Cause("invalid-request", each, "correct it in the job file; nothing was sent") for each in submission.violations(plan, self._place.region)]
        aws, handle = self._open(plan.handle)
        caller = aws.call("get_caller_identity", "sts")
        if handle.account not in (PRACTICE, caller["Account"]):
            what = f"the credentials are those of account {caller['Account']}, and the role is one of {handle.account}"
            found.append(Cause("wrong-account", what, "use the other credentials (AWS_PROFILE), or correct targets.sagemaker.role", caller["Arn"]))
        if handle.account != PRACTICE and not self._has_bucket(aws):
            what = f"there is no bucket {self._bucket} that the caller can see"
            found.append(Cause("no-bucket", what, f"make it: aws s3 mb s3://{self._bucket} --region {aws.region}; or correct targets.sagemaker.store"))
        return found

    @property
    def _bucket(self) -> str:
        return self._place.store.removeprefix("s3://").partition("/")[0]

    def _has_bucket(self, aws: Aws) -> bool:
        from botocore.exceptions import ClientError

        try:
            aws.client("s3").head_bucket(Bucket=self._bucket)
        except ClientError:
            return False
        return True

    def stage(self, plan: Plan) -> None:
        aws, handle = self._open(plan.handle)
        if handle.account == PRACTICE and not self._has_bucket(aws):
            # A bucket of the real account's name, so that the same job file can be practised.
            aws.call("create_bucket", "s3", Bucket=self._bucket, CreateBucketConfiguration={"LocationConstraint": aws.region})
        for upload in plan.uploads:
            staging.bring(upload)

    def submit(self, plan: Plan) -> str:
        submission.send(self._open(plan.handle)[0], plan)
        return plan.handle

    def conclude(self, plan: Plan) -> None:
        """Of a deployment whose endpoint is up: autoscaling, and a comparison of its answers with the offline scores."""
        aws, handle = self._open(plan.handle)
        if handle.kind == ENDPOINT:
            from cloud.sagemaker.trial import try_out

            submission.send_scaling(aws, plan)
            try_out(aws, plan, self.fetch)

    def _described(self, handle: str) -> tuple[Aws, Handle, dict[str, object] | None]:
        aws, job = self._open(handle)
        kind = KINDS[job.kind]
        return aws, job, aws.find(kind.describe, **{kind.name: job.name})

    def status(self, handle: str) -> JobState:
        _, job, described = self._described(handle)
        return state_of(job.kind, described)

    def stop(self, handle: str) -> None:
        """An endpoint is deleted, unless it is being updated: that would take away the version that answers."""
        aws, job, described = self._described(handle)
        state = state_of(job.kind, described)
        if described is None or state == JobState.STOPPING:
            return
        kind = KINDS[job.kind]
        if job.kind != ENDPOINT and not state.is_final:
            self._stop_job(aws, handle, kind.stop, {kind.name: job.name})
        if job.kind == ENDPOINT and described["EndpointStatus"] not in ("Updating", "SystemUpdating", "RollingBack"):
            aws.call(kind.stop, EndpointName=job.name)

    def _stop_job(self, aws: Aws, handle: str, operation: str, name: Mapping[str, str]) -> None:
        try:
            aws.call(operation, **name)
        except RequestError:
            if not self.status(handle).is_final:  # otherwise it ended in between
                raise

    def logs(self, handle: str, *, follow: bool = False) -> Iterator[str]:
        aws, job = self._open(handle)
        group = KINDS[job.kind].log_group
        tail = logs.Tail(aws, f"{group}/{job.name}", "") if job.kind == ENDPOINT else logs.Tail(aws, group, f"{job.name}/")
        if not follow:
            return tail.lines()

        def has_ended() -> bool:
            state = self.status(handle)
            return state.is_final or state == JobState.UNKNOWN

        return logs.follow(tail, has_ended, poll=self.poll, is_practice=aws.account == PRACTICE)

    def handles(self) -> Iterator[str]:
        """Among the newest jobs, those with Seatrial's tags."""
        aws = self.aws()
        lists = {
            TRAINING: aws.pages("list_training_jobs", "TrainingJobSummaries", limit=_LISTED),
            PROCESSING: aws.pages("list_processing_jobs", "ProcessingJobSummaries", limit=_LISTED),
            ENDPOINT: aws.pages("list_endpoints", "Endpoints", limit=_LISTED),
        }
        for kind, entries in lists.items():
            for entry in entries:
                if TAG + "run" in aws.tags(entry[KINDS[kind].arn]):
                    yield str(Handle(aws.account, aws.region, kind, entry[KINDS[kind].name]))

    def explain(self, handle: str) -> list[Cause]:
        from cloud.causes import causes_of

        _, _, described = self._described(handle)
        if described is None:
            return [Cause("unknown-job", "SageMaker does not know this job", "`seatrial jobs --refresh` asks about those that were submitted from here")]
        return causes_of(reasons(described), list(self.logs(handle))[-_TOLD:])

    def read(self, uri: str) -> bytes:
        return storage.read_bytes(uri)

    def exists(self, uri: str) -> bool:
        return storage.exists(uri)

    def fetch(self, uri: str) -> str:
        return staging.local_copy(uri, self._home.root / "cache")

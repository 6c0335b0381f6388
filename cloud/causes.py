"""What clouds say of jobs that wait or fail, in plain words: rows before those of ``jobs.control.causes``, which know the steps' own logs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from jobs.control.backend import Cause
from jobs.control.causes import match
from jobs.control.causes.row import Row

ROWS = (
    Row(
        "image-pull",
        r"(?i)cannot ?pull ?container|unable to pull|failed to pull (?:the |docker )?image|unable to find image|image.*(?:does not exist|not found)|ImagePull",
        "the container image cannot be pulled",
        "push it to a registry that the job's role may read (docs/guides/sagemaker.md, docs/guides/azure-ml.md); in practice: seatrial practice image add",
    ),
    Row(
        "capacity",
        r"(?i)capacityerror|insufficient (?:instance )?capacity|no capacity|unable to provision|AllocationFailed",
        "the cloud has no such machines free",
        "wait, or ask for another type or region",
    ),
    Row(
        "quota",
        r"(?i)ResourceLimitExceeded|account-level service limit|quota (?:is )?(?:exceeded|reached)|not enough quota|exceeds? .*quota",
        "a limit of the account is reached",
        "ask for fewer or smaller machines, wait until others end, or have the limit raised",
    ),
    Row(
        "access-denied",
        r"(?i)access ?denied|not authorized|AuthorizationFailed|could not assume role|AuthorizationPermissionMismatch|\b403\b",
        "the job or its submitter is not allowed something",
        "compare the role with cloud/sagemaker/setup/account.yaml (docs/guides/sagemaker.md), or the identity's roles with docs/guides/azure-ml.md",
    ),
    Row(
        "spot-interruption",
        r"(?i)\bInterrupted\b|spot .*(?:interrupt|reclaim)|preempt",
        "spot machines were taken away; the job starts again when there are others",
        "nothing to do: it goes on from its last checkpoint; raise spot_wait or leave `spot` out if it takes too long",
    ),
    Row(
        "machine-lost",
        r"(?i)InternalServerError|NodeFailure|became unusable|host was lost",
        "a machine was lost, or the cloud failed within",
        "the same command goes on from the last checkpoint; `retries` in the job file lets a run do so by itself",
    ),
    Row(
        "deadline",
        r"(?i)MaxRuntimeExceeded|MaxWaitTimeExceeded|exceeded its MaxRuntime|exceeded (?:the|its) (?:time ?out|time limit)|JobTimedOut|timeout",
        "it was stopped at its time limit",
        "raise `time_limit` in the job file; the same command goes on from the last checkpoint",
    ),
    Row(
        "data-missing",
        r"(?i)NoSuchKey|Data download failed|No S3 objects found|BlobNotFound|data .*(?:could not be|not) found",
        "something that the job reads is not where its request says",
        "check the inputs' locations, and whether the step that makes them has finished",
    ),
    Row(
        "out-of-memory",
        r"(?i)use an instance type with more memory|out of memory|OutOfMemory|OOMKilled|exit code:? 137",
        "the machine had too little memory",
        "raise `resources.memory` in the job file",
    ),
    Row(
        "ping",
        r"(?i)did not pass the ping health check|failed (?:its )?(?:liveness|readiness) probe|not become healthy",
        "the container of the endpoint did not answer its health check",
        "read its log: seatrial logs HANDLE",
    ),
)


def causes_of(told: Sequence[str], log: Sequence[str]) -> list[Cause]:
    """``told``: the cloud's own words for the job. ``log``: the last lines of its log.

    What the step says of itself comes first, then what the cloud is known to mean; the cloud's words as they are, if nothing is known.
    """
    known = list(_known(told))
    from_log = [cause for cause in match([*told, *log]) if cause.name not in {each.name for each in known}]
    if known or from_log:
        return [*known, *from_log]
    return [Cause("job-failed", told[0], "read the job's log: seatrial logs HANDLE", told[0])] if told else []


def _known(told: Sequence[str]) -> Iterator[Cause]:
    seen = set()
    for text in told:
        for row in ROWS:
            if row.name not in seen and re.search(row.pattern, text):
                seen.add(row.name)
                yield Cause(row.name, row.what, row.hint, text[:300])
                break

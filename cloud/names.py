"""Names that clouds accept, made from names that people chose. The same arguments make the same name."""

from __future__ import annotations

import re

from jobs.contracts import fingerprint
from jobs.contracts.job import Job

LIMIT = 63  # characters of a SageMaker job's name
_HASH = 10


def job_name(job: Job, attempt: int = 1) -> str:
    """``flights-20261124-101500-3f0a-train``: another one for each run, step and attempt, since clouds never free a name."""
    return fitting(f"{job.run}-{job.step}" + (f"-{attempt}" if attempt > 1 else ""))


def fitting(text: str, limit: int = LIMIT) -> str:
    """``text`` in letters, digits and hyphens; where something had to go, a hash keeps different texts apart."""
    clean = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-") or "seatrial"
    if clean == text and len(text) <= limit:
        return text
    return f"{clean[: limit - _HASH - 1].rstrip('-')}-{fingerprint.of(text)[:_HASH]}"

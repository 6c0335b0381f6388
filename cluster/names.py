"""Names that Kubernetes accepts, made from names that people chose. The same arguments make the same name."""

from __future__ import annotations

import re

from jobs.contracts import fingerprint
from jobs.contracts.job import Job

LABEL_LIMIT = 63  # characters of a label's value and of a DNS label
_PART, _HASH = 14, 10  # pipeline-step-hash: at most 40 characters; KubeRay allows a RayJob 47, and Spark and Jobs append a few more
_SECRET_LIMIT = 253  # characters of a DNS subdomain


def object_name(job: Job, attempt: int = 1) -> str:
    """``flights-train-3f0a91c2d4``: a DNS label of at most 40 characters, another one for each run, step and attempt."""
    digest = fingerprint.of([job.pipeline, job.run, job.step, attempt])[:_HASH]
    return "-".join([_label(job.pipeline, "pipeline")[:_PART].rstrip("-"), _label(job.step, "step")[:_PART].rstrip("-"), digest])


def label_value(text: str) -> str:
    """``text`` as a label's value; what does not fit is replaced, and then a hash keeps different texts apart."""
    fitting = re.sub(r"[^A-Za-z0-9_.-]", "-", text).strip("-_.")
    if fitting == text and len(text) <= LABEL_LIMIT:
        return text
    return f"{fitting[: LABEL_LIMIT - _HASH - 1]}-{fingerprint.of(text)[:_HASH]}".lstrip("-_.")


def node_label(text: str) -> str:
    """A node's label in the spelling of NVIDIA's feature discovery: ``Tesla T4`` to ``Tesla-T4``."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-_.")[:LABEL_LIMIT].rstrip("-_.")


def secret_name(text: str) -> str:
    """A Secret's name: ``HF_TOKEN``, as other targets spell it, is ``hf-token`` here."""
    labels = (label.strip("-") for label in re.sub(r"[^a-z0-9.-]", "-", text.lower()).split("."))
    return ".".join(filter(None, labels))[:_SECRET_LIMIT].rstrip("-.") or "secret"


def _label(text: str, otherwise: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).lstrip("-0123456789").rstrip("-") or otherwise

"""Where one step's files lie, as its pods see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

STORE = "/seatrial/store"  # the folder of a ``pvc://`` store, in every pod
JOB = "/seatrial/job"  # job.json and what else the step's process is told
CODE = "/seatrial/code"  # the workload's packages, where they travel in a ConfigMap
JOB_FILE = f"{JOB}/job.json"
CLAIM_SCHEME = "pvc://"


@dataclass(frozen=True)
class Places:
    folder: str  # the step's folder: a path in the pod, or a URI
    inputs: Mapping[str, str]  # name -> path in the pod, or a URI
    outputs: Mapping[str, str]
    context: Mapping[str, str]  # SEATRIAL_* variables that the driver decided
    code: str  # folder in the pod with the workload's packages: CODE, or one in the store
    code_files: Mapping[str, str] | None  # relative path -> text, to be mounted at ``code``; None = they lie there already
    attempt: int = 1


def claim(store: str) -> tuple[str, str]:
    """``pvc://claim/folder`` to (claim, folder); ("", "") for a store that is no claim."""
    if not store.startswith(CLAIM_SCHEME):
        return "", ""
    name, _, folder = store.removeprefix(CLAIM_SCHEME).partition("/")
    return name, folder.strip("/")

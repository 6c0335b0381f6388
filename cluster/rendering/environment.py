"""Variables of a step's pods. A secret is a reference: the cluster fills it in, and no plan or log shows it.

``secrets: {HF_TOKEN: hub/token}`` in a job file is the key ``token`` of the Secret ``hub``; ``{HF_TOKEN: hub}`` is its
key ``HF_TOKEN``. A name as other targets spell it, ``HF_TOKEN``, is the Secret ``hf-token``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cluster.names import secret_name
from cluster.rendering.places import Places
from cluster.rendering.pods import SCRATCH
from jobs.contracts.job import Job, variable
from jobs.control.spec import Kind, KubernetesTarget, Step

ENGINE = "spark"  # of an ETL step that does not choose one
SERVE_PORT = 8000
_TRACKED = (Kind.TRAIN, Kind.DEPLOY, Kind.PIPELINE)
_DEFAULTS = {"HOME": SCRATCH.path}  # the image's own home is read-only


def engine(step: Step) -> str:
    return str(step.params.get("engine", ENGINE))


def of_step(settings: KubernetesTarget, step: Step, job: Job, places: Places, **more: str) -> list[dict[str, Any]]:
    """Sorted by name. ``more``: what only this kind of object needs; it holds over everything else."""
    tracking = {"MLFLOW_TRACKING_URI": settings.tracking_uri} if step.kind in _TRACKED else {}
    values = {**_DEFAULTS, **places.context, **tracking, **step.env, **_decided(settings, step, job, places), **more}
    plain = {name: value for name, value in values.items() if name not in step.secrets}
    return sorted([*literals(plain), *(_secret(name, reference) for name, reference in step.secrets.items())], key=lambda entry: str(entry["name"]))


def literals(values: Mapping[str, str]) -> list[dict[str, Any]]:
    """Kubernetes would replace ``$(NAME)`` inside a value; a doubled dollar is a plain one."""
    return [{"name": name, "value": value.replace("$", "$$")} for name, value in sorted(values.items())]


def _decided(settings: KubernetesTarget, step: Step, job: Job, places: Places) -> dict[str, str]:
    """What the target decides, whatever the job file and the driver say."""
    found = {variable("INPUT", name): uri for name, uri in places.inputs.items()}
    found |= {variable("OUTPUT", name): uri for name, uri in places.outputs.items()}
    own = step.env.get("PYTHONPATH")
    found |= {"SEATRIAL_STEP_DIR": places.folder, "SEATRIAL_CODE": places.code, "PYTHONPATH": f"{places.code}:{own}" if own else places.code}
    if step.kind == Kind.ETL:
        found["SEATRIAL_ENGINE"] = engine(step)
    if step.kind in _TRACKED:
        found["SEATRIAL_TRACKING_URI"] = settings.tracking_uri
    if step.kind == Kind.DEPLOY:
        found["SEATRIAL_SERVE_URL"] = f"http://{settings.service}:{SERVE_PORT}"
    return found


def _secret(name: str, reference: str) -> dict[str, Any]:
    secret, _, key = reference.partition("/")
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret_name(secret), "key": re.sub(r"[^-._a-zA-Z0-9]", "-", key) or name}}}

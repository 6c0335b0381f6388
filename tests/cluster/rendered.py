"""The flights example as Kubernetes objects, for the tests of rendering: its code and fingerprints are stand-ins, so that an edit of
the example changes no golden file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from cluster.rendering import CODE, STORE, Places, object_name, render
from jobs.contracts.job import Job
from jobs.control import spec_file
from jobs.control.spec import TRAINING, Kind, KubernetesTarget, Resources, Step

FLIGHTS = Path(__file__).parents[2] / "examples/flights/pipeline.yaml"
RUN = "flights-20261122-214500-3fa1"
CODE_FILES = {"flights/__init__.py": "", "flights/features.py": "def build(params): ...\n", "flights/model.py": "def build(manifest, params): ...\n"}
FINGERPRINT = "0123456789abcdef" * 4


def flights(*overrides: str) -> dict[str, Step]:
    return spec_file.load(FLIGHTS, overrides).steps


def step(kind: str = "train", **changes: Any) -> Step:
    entry = {"entry": "tiny.model:build"} if kind in (Kind.ETL, *TRAINING) else {}
    return Step.model_validate({"kind": kind, "inputs": {"dataset": "data"}, "outputs": {"made": "bundle"}, **entry, **changes})


def driver() -> Step:
    """As ``seatrial run --detach`` makes it; a job file cannot."""
    return Step.model_construct(kind=Kind.PIPELINE, resources=Resources(workers=0, cpu=0.5, memory="1Gi"), inputs={"input-0": ""}, retries=3)


def job(name: str, of: Step, **changes: Any) -> Job:
    facts: dict[str, Any] = of.model_dump(mode="json", include={"entry", "params", "resources", "checkpoint", "retries"})
    facts |= {"pipeline": "flights", "run": RUN, "step": name, "kind": str(of.kind), "fingerprint": FINGERPRINT}
    return Job.model_validate(facts | {"inputs": tuple(of.inputs), "outputs": tuple(of.outputs)} | changes)


def places(name: str, of: Step, **changes: Any) -> Places:
    folder = f"{STORE}/runs/{RUN}/{name}"
    facts: dict[str, Any] = {
        "folder": folder,
        "inputs": {each: f"{STORE}/inputs/{each}" for each in of.inputs},
        "outputs": {each: f"{folder}/{each}" for each in of.outputs},
        "context": {},
        "code": CODE,
        "code_files": CODE_FILES,
    }
    return Places(**(facts | changes))


def objects(of: Step, settings: KubernetesTarget | None = None, name: str = "work", **changes: Any) -> tuple[dict[str, Any], ...]:
    return render(settings or KubernetesTarget(), of, job(name, of), places(name, of, **changes))


def main(of: Step, settings: KubernetesTarget | None = None, **changes: Any) -> dict[str, Any]:
    return objects(of, settings, **changes)[-1]


def name_of(of: Step, attempt: int = 1) -> str:
    return object_name(job("work", of), attempt)


def config(rendered: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Files beside job.json, and it: of the step's own ConfigMap."""
    return next(each["data"] for each in rendered if each["kind"] == "ConfigMap" and "job.json" in each["data"])


def pods(rendered: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every pod template in these objects, executors' included: (where it stands, the Pod's spec)."""
    for each in rendered:
        if each["kind"] == "Pod":
            yield "Pod", each["spec"]
        if each["kind"] in ("Job", "Deployment"):
            yield each["kind"], each["spec"]["template"]["spec"]
        if each["kind"] == "CronJob":
            yield "CronJob", each["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        if each["kind"] == "ConfigMap" and "executor.yaml" in each.get("data", {}):
            yield "executor.yaml", yaml.safe_load(each["data"]["executor.yaml"])["spec"]
        if each["kind"] in ("RayJob", "RayService", "RayCluster"):
            cluster = each["spec"].get("rayClusterSpec") or each["spec"].get("rayClusterConfig") or each["spec"]
            if each["kind"] == "RayJob":
                yield "submitter", each["spec"]["submitterPodTemplate"]["spec"]
            yield "head", cluster["headGroupSpec"]["template"]["spec"]
            yield from ((f"workers {group['groupName']}", group["template"]["spec"]) for group in cluster["workerGroupSpecs"])


def env(pod: dict[str, Any]) -> dict[str, Any]:
    """Variables of a pod's only container: name -> text, or a reference."""
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in pod["containers"][0]["env"]}

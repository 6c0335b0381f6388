"""Experiment tracking in MLflow, written by the driver from what the steps leave in their folders.

The training processes write ``metrics.jsonl`` and never wait for a tracking server; what is here runs beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.contracts import storage
from jobs.contracts.job import reported

if TYPE_CHECKING:
    from mlflow import MlflowClient

_BATCH = 1000  # MLflow's limit of metrics in one call
_PROGRESS_ONLY = ("time", "message", "fraction", "epoch", "step")


def experiment(client: MlflowClient, name: str, artifacts: Path) -> str:
    """The experiment of a pipeline, made at first use. Its artefacts lie in the store unless a server decides."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    local = not client.tracking_uri.startswith("http")
    return str(client.create_experiment(name, artifact_location=str(artifacts / name) if local else None))


def start_run(client: MlflowClient, experiment_id: str, *, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """The MLflow run of a step, found again by name so that a resumed pipeline goes on with it."""
    found = client.search_runs([experiment_id], f"attributes.run_name = '{name}'", max_results=1)
    if found:
        return str(found[0].info.run_id)
    from mlflow.entities import Param

    run = client.create_run(experiment_id, run_name=name, tags=dict(tags))
    client.log_batch(run.info.run_id, params=[Param(key, str(value)) for key, value in flatten(params)])
    return str(run.info.run_id)


def log_metrics(client: MlflowClient, run: str, text: str) -> None:
    """Everything a step reported (the text of its ``metrics.jsonl``), with its epoch or step as the x-axis."""
    from mlflow.entities import Metric

    lines = reported(text)
    metrics = [Metric(name, value, int(line["time"] * 1000), int(line.get("epoch", line.get("step", 0)))) for line in lines for name, value in _numbers(line)]
    for start in range(0, len(metrics), _BATCH):
        client.log_batch(run, metrics=metrics[start : start + _BATCH])


def log_values(client: MlflowClient, run: str, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        client.log_metric(run, name, value)


def finish_run(client: MlflowClient, run: str, *, artefacts: Mapping[str, str]) -> None:
    """Attach files (name of folder -> local path or folder) and mark the run as finished."""
    for name, uri in artefacts.items():
        path = storage.local_path(uri)
        if path.is_dir():
            client.log_artifacts(run, str(path), name)
        else:
            client.log_artifact(run, str(path), name)
    client.set_terminated(run)


def _numbers(line: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in line.items():
        if name not in _PROGRESS_ONLY and isinstance(value, int | float):
            yield name, float(value)


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """``{"a": {"b": 1}}`` to ``("a.b", 1)``."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value

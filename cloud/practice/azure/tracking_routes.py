"""MLflow's REST protocol (version 2.0) over :class:`Tracking`, as far as a job's own run and its readers need it.

An experiment's id is its name. Artefacts are written to the run's folder directly, which is the job's artefact folder.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cloud.practice.azure.tracking import Tracking, milliseconds

Given = dict[str, Any]
_ENDS = ("FINISHED", "FAILED", "KILLED")


class TrackingError(Exception):
    """``code``: MLflow's."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class TrackingService:
    def __init__(self, tracking: Tracking, artifacts: Callable[[str], Path]) -> None:
        self._tracking, self._artifacts = tracking, artifacts
        self._named: set[str] = set()  # experiments without a run yet
        self._routes: dict[tuple[str, str], Callable[[Given], Given]] = {
            ("POST", "runs/create"): self._create,
            ("GET", "runs/get"): lambda given: {"run": self._shown(self._id(given))},
            ("POST", "runs/update"): self._update,
            ("POST", "runs/log-metric"): lambda given: self._log(given, metrics=[given]),
            ("POST", "runs/log-parameter"): lambda given: self._log(given, params=[given]),
            ("POST", "runs/set-tag"): lambda given: self._log(given, tags=[given]),
            ("POST", "runs/delete-tag"): self._untag,
            ("POST", "runs/log-batch"): lambda given: self._log(given, given.get("metrics", ()), given.get("params", ()), given.get("tags", ())),
            ("POST", "runs/log-inputs"): lambda given: {},
            ("POST", "runs/search"): self._search,
            ("GET", "metrics/get-history"): lambda given: {"metrics": self._tracking.history(self._id(given), str(given.get("metric_key", "")))},
            ("GET", "experiments/get"): lambda given: {"experiment": self._experiment(str(given.get("experiment_id", "")))},
            ("GET", "experiments/get-by-name"): lambda given: {"experiment": self._experiment(str(given.get("experiment_name", "")))},
            ("POST", "experiments/create"): self._name,
            ("POST", "experiments/search"): lambda given: {"experiments": [self._experiment(name) for name in self._experiments()]},
            ("GET", "experiments/search"): lambda given: {"experiments": [self._experiment(name) for name in self._experiments()]},
        }

    def answer(self, method: str, path: str, given: Given) -> Given:
        handler = self._routes.get((method, path))
        if handler is None:
            raise TrackingError(404, "ENDPOINT_NOT_FOUND", f"The practice tracking service does not implement {method} {path}.")
        return handler(given)

    def _id(self, given: Given) -> str:
        run = str(given.get("run_id") or given.get("run_uuid") or "")
        if self._tracking.run(run) is None:
            raise TrackingError(404, "RESOURCE_DOES_NOT_EXIST", f"Run with id={run} not found")
        return run

    def _shown(self, run: str) -> Given:
        row = self._tracking.run(run)
        assert row
        info = {
            "run_id": run,
            "run_uuid": run,
            "run_name": row["name"],
            "experiment_id": row["experiment"],
            "user_id": "practice",
            "status": row["status"],
            "start_time": row["started"],
            "artifact_uri": row["artifacts"],
            "lifecycle_stage": "deleted" if row["deleted"] else "active",
        }
        return {"info": info | ({"end_time": row["ended"]} if row["ended"] else {}), "data": self._tracking.data(run), "inputs": {}, "outputs": {}}

    def _create(self, given: Given) -> Given:
        run = str(uuid.uuid4())
        name = given.get("run_name") or next((tag["value"] for tag in given.get("tags", ()) if tag["key"] == "mlflow.runName"), run)
        self._tracking.start(run, str(given.get("experiment_id") or "Default"), name, self._artifacts(run))
        self._tracking.tag(run, {tag["key"]: tag["value"] for tag in given.get("tags", ())})
        return {"run": self._shown(run)}

    def _update(self, given: Given) -> Given:
        run = self._id(given)
        status = str(given.get("status") or "")
        ended = int(given.get("end_time") or milliseconds()) if status in _ENDS else None
        self._tracking.update(run, status=status, ended=ended, name=str(given.get("run_name") or ""))
        return {"run_info": self._shown(run)["info"]}

    def _log(self, given: Given, metrics: Any = (), params: Any = (), tags: Any = ()) -> Given:
        run = self._id(given)
        self._tracking.log(run, list(metrics))
        if changed := self._tracking.params(run, {each["key"]: str(each["value"]) for each in params}):
            raise TrackingError(
                400, "INVALID_PARAMETER_VALUE", f"Changing param values is not allowed. Param with key='{changed}' was already logged for run ID='{run}'."
            )
        self._tracking.tag(run, {each["key"]: str(each["value"]) for each in tags})
        return {}

    def _untag(self, given: Given) -> Given:
        self._tracking.untag(self._id(given), str(given.get("key", "")))
        return {}

    def _search(self, given: Given) -> Given:
        """Without a filter or an order of its own: newest first."""
        if given.get("filter"):
            raise TrackingError(501, "NOT_IMPLEMENTED", "The practice tracking service searches runs by experiment only.")
        ids = self._tracking.runs([str(each) for each in given.get("experiment_ids", ())])
        return {"runs": [self._shown(run) for run in ids[: int(given.get("max_results") or 1000)]]}

    def _experiments(self) -> list[str]:
        return sorted({"Default", *self._named, *self._tracking.experiments()})

    def _experiment(self, name: str) -> Given:
        name = "Default" if name == "0" else name
        if name not in self._experiments():
            raise TrackingError(404, "RESOURCE_DOES_NOT_EXIST", f"Could not find experiment with name '{name}'")
        return {"experiment_id": name, "name": name, "artifact_location": str(self._artifacts(name)), "lifecycle_stage": "active", "tags": []}

    def _name(self, given: Given) -> Given:
        name = str(given.get("name") or "")
        if name in self._experiments():
            raise TrackingError(400, "RESOURCE_ALREADY_EXISTS", f"Experiment '{name}' already exists.")
        self._named.add(name)
        return {"experiment_id": name}

"""The traffic of a replica with everything that watches it, from its settings."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from jobs.control.mlflow_http import is_server
from jobs.control.registry import CHAMPION
from jobs.control.rollout.standing import StandingReader
from serve.rollout.traffic import POLL_SECONDS, Report, RolloutTraffic, Watcher
from serve.watching.live_drift import LiveDrift
from serve.watching.prediction_log import PredictionLog
from serve.watching.settings import from_environment

if TYPE_CHECKING:
    from serve.asgi import Application

REMOTE_POLL_SECONDS = 1.0  # over HTTP it is one request, 6 ms of the registry's server, from every replica


def open_traffic(name: str, tracking_uri: str, alias: str = CHAMPION, report: Report | None = None) -> RolloutTraffic:
    """``report``: sends a replica's totals to the coordinator; without one, nothing is taken back by itself.

    Errors: SetupError for a setting that makes no sense.
    """
    settings = from_environment(tracking_uri)
    watchers: list[Watcher] = [LiveDrift()]
    if settings.folder:
        watchers.append(PredictionLog(settings, name, uuid.uuid4().hex[:8]))
    poll_seconds = REMOTE_POLL_SECONDS if is_server(tracking_uri) else POLL_SECONDS
    return RolloutTraffic(name, StandingReader(tracking_uri, name, alias), report=report, watchers=watchers, poll_seconds=poll_seconds)


def add_gauges(application: Application) -> None:
    """Rollout, drift and prediction log among the application's own metrics."""
    from serve.watching.gauges import WatchCollector

    for name, traffic in application.models.items():
        application.metrics.registry.register(WatchCollector(name, traffic.state))

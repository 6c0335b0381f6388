"""What a target needs beside its steps: on this machine one Ray and the service; elsewhere they are there already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from jobs.control.home import Home
from jobs.control.services import Services
from jobs.control.spec import Kind, Pipeline, Step


class Surroundings(Protocol):
    def start(self) -> None: ...

    def advance(self) -> None:
        """Called often while steps run; does not wait."""
        ...

    def variables(self, step: Step) -> Mapping[str, str]:
        """SEATRIAL_* variables of what is up right now."""
        ...

    def stop(self, *, succeeded: bool) -> None: ...


def surroundings_of(target: str, home: Home, pipeline: Pipeline, *, keep: bool) -> Surroundings:
    serves = any(step.kind == Kind.DEPLOY for step in pipeline.steps.values())
    # A pipeline that serves has Ray anyway, so its training steps join it; otherwise each starts its own.
    return LocalServices(home, pipeline, keep=keep) if target == "local" and serves else Nothing()


class Nothing:
    def start(self) -> None:
        return

    def advance(self) -> None:
        return

    def variables(self, step: Step) -> Mapping[str, str]:
        return {}

    def stop(self, *, succeeded: bool) -> None:
        return


class LocalServices:
    """The Ray and the service of this machine; they end with the run unless it is to be kept and has succeeded."""

    def __init__(self, home: Home, pipeline: Pipeline, *, keep: bool) -> None:
        self._pipeline, self._keep = pipeline, keep
        self._services = Services(home, models=[pipeline.name], port=pipeline.targets.local.port)

    def start(self) -> None:
        self._services.start(cpus=logical_cores(self._pipeline), keep=self._keep)

    def advance(self) -> None:
        self._services.advance()

    def variables(self, step: Step) -> Mapping[str, str]:
        if step.on_ray:
            return self._services.ray_variables()
        return {"SEATRIAL_SERVE_URL": self._services.url()} if step.kind == Kind.DEPLOY else {}

    def stop(self, *, succeeded: bool) -> None:
        if not (self._keep and succeeded):
            self._services.stop()


def logical_cores(pipeline: Pipeline) -> int:
    """Cores that Ray is told of: what the training steps that may run at once ask for, however many there are.

    A worker asks for whole cores and at least one (``jobs.steps.settings``), so two quarters make two.
    """
    asked = [max(1, int(step.resources.cpu)) * step.resources.max_workers for step in pipeline.steps.values() if step.trains]
    return max(1, sum(sorted(asked, reverse=True)[: pipeline.targets.local.max_parallel]))

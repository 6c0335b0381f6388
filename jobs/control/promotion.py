"""The driver's dealings with the registry, on one thread beside the steps: MLflow takes seconds to import and open.

Only here does a run write to a registry: parameters and metrics after a training step, a version and an alias
after an evaluation's verdict. Versions and aliases live in MLflow, or in the target's own registry where it has one;
parameters and metrics are in MLflow either way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from jobs.contracts import storage
from jobs.contracts.errors import RunError
from jobs.contracts.job import Product
from jobs.control import tracking
from jobs.control.home import Home
from jobs.control.mlflow_client import open_client, translate
from jobs.control.model_inputs import source_of_version
from jobs.control.plan import Source
from jobs.control.registry import CHALLENGER, CHAMPION, TargetRegistry
from jobs.control.registry_mlflow import MlflowRegistry
from jobs.control.registry_reader import ModelVersion, resolve_alias

if TYPE_CHECKING:
    from mlflow import MlflowClient

P = ParamSpec("P")
T = TypeVar("T")
Fetch = Callable[[str], str]


@dataclass(frozen=True)
class TrainedStep:
    """A finished training step, as MLflow records it."""

    run: str
    step: str
    metrics: str  # what it reported: the text of its metrics.jsonl
    params: Mapping[str, Any]
    tags: Mapping[str, str]

    @property
    def name(self) -> str:
        return f"{self.run}/{self.step}"


class Promotion:
    """Use as a context manager: leaving it waits for what was begun."""

    def __init__(self, home: Home, pipeline: str, registry: TargetRegistry | None = None) -> None:
        """``registry``: the target's own; None = MLflow."""
        self._home, self._pipeline, self._registry = home, pipeline, registry
        # One worker: MLflow's client is not made for several threads, and SQLite has one writer anyway.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="registry")
        self._client: Future[MlflowClient] = self._submit(open_client, home.tracking_uri)
        self._begun: list[Future[Any]] = []

    def __enter__(self) -> Promotion:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        def translated() -> T:
            with translate(self._home.tracking_uri):
                return work(*args, **kwargs)

        return self._thread.submit(translated)

    def champion(self) -> ModelVersion | None:
        return champion_of(self._home, self._pipeline, self._registry)

    def champion_source(self) -> Source | None:
        """Where an evaluation reads the version that it has to beat."""
        return champion_source(self._home, self._pipeline, self._registry)

    def serving_variables(self, products: Iterable[Product]) -> dict[str, str]:
        """What a deploy step is told of the version that answers. ``products``: what lies in the target's store.

        Errors: RunError when no version was ever promoted.
        """
        champion = self.champion()
        if champion is None:
            raise RunError(
                "there is no champion to serve", where=self._pipeline, hint="the gate in the evaluate step refused this version: its report says why"
            )
        # The registry's own copy may be out of the target's reach; equal fingerprints mean equal bundles.
        uri = next((product.uri for product in products if product.fingerprint == champion.fingerprint), champion.uri)
        found = {"SEATRIAL_MODEL_NAME": champion.name, "SEATRIAL_MODEL_VERSION": champion.version, "SEATRIAL_MODEL_URI": uri}
        # A bundle that a server keeps to itself is fetched from there by the step; a target with another address for it overrides this one.
        return found | ({"SEATRIAL_TRACKING_URI": champion.server} if champion.server else {})

    def record_training(self, trained: TrainedStep) -> None:
        """Begin to log a training step; errors surface in :meth:`settle`."""
        self._begun.append(self._submit(self._record_training, trained))

    def _record_training(self, trained: TrainedStep) -> str:
        client = self._client.result()
        experiment = tracking.experiment(client, self._pipeline, self._home.artifacts)
        run = tracking.start_run(client, experiment, name=trained.name, params=trained.params, tags=trained.tags)
        tracking.log_metrics(client, run, trained.metrics)
        return run

    def register(self, trained: TrainedStep, bundle: Product, fetch: Fetch, *, verdict: Mapping[str, Any], tags: Mapping[str, str]) -> ModelVersion:
        """Register a judged bundle and move the alias that its verdict gives it. ``fetch``: a location as one that this process can read.

        Its report is where the tag ``seatrial.report`` says.
        """
        report = fetch(storage.join(tags["seatrial.report"], "report.html")) if "seatrial.report" in tags else ""
        local = "" if self._registry else fetch(bundle.uri)
        return self._submit(self._register, trained, bundle, local, report, verdict, tags).result()

    def _register(self, trained: TrainedStep, bundle: Product, local: str, report: str, verdict: Mapping[str, Any], tags: Mapping[str, str]) -> ModelVersion:
        client = self._client.result()
        run = self._record_training(trained)
        alias = CHAMPION if verdict.get("champion") else CHALLENGER
        if self._registry is not None:
            version = self._registry.register(self._pipeline, bundle, tags=tags, verdict=verdict)
            self._registry.set_alias(self._pipeline, alias, version.version)
        else:
            registry = MlflowRegistry(client, self._home.tracking_uri)
            version = registry.register(self._pipeline, local, run=run, tags=tags)
            registry.set_alias(self._pipeline, alias, version.version)
            run = version.run
        tracking.log_values(client, run, {f"test_{name}": value for name, value in _values(verdict)})
        tracking.finish_run(client, run, artefacts={"report": report} if report else {})
        return version

    def settle(self) -> None:
        """Wait for everything begun; raises what failed."""
        for future in self._begun:
            future.result()


def champion_of(home: Home, pipeline: str, registry: TargetRegistry | None) -> ModelVersion | None:
    return registry.champion(pipeline) if registry is not None else resolve_alias(home.tracking_uri, pipeline, CHAMPION)


def champion_source(home: Home, pipeline: str, registry: TargetRegistry | None) -> Source | None:
    champion = champion_of(home, pipeline, registry)
    if champion is None:
        return None
    if registry is not None:
        return Source(champion.uri, champion.fingerprint)  # it lies in the target's store already
    return source_of_version(home, champion)


def _values(verdict: Mapping[str, Any]) -> list[tuple[str, float]]:
    return [(name, float(value)) for name, value in verdict.get("metrics", {}).items() if isinstance(value, int | float)]

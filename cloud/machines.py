"""Which rented machine a step needs: the smallest known one that holds its cores, memory and GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.contracts.errors import RequestError
from jobs.control.spec import Resources, memory_bytes

_GIB = 2**30
OVERHEAD = 1.5  # GiB of each machine for its agents, and for Ray where it trains


@dataclass(frozen=True)
class Machine:
    name: str
    cpu: int
    memory: float  # GiB
    gpu: int = 0
    accelerator: str = ""


def smallest(machines: Sequence[Machine], resources: Resources, *, together: int = 1, target: str, setting: str) -> str:
    """The first machine, of those sorted by price, that fits. ``together``: so many workers share one machine.

    Errors: RequestError when none does.
    """
    cpu, memory = resources.cpu * together, memory_bytes(resources.memory) * together / _GIB + OVERHEAD
    for machine in machines:
        if machine.cpu >= cpu and machine.memory >= memory and _has_gpus(machine, resources):
            return machine.name
    gpu = f", {resources.gpu} GPU {resources.accelerator}".rstrip() if resources.gpu else ""
    known = ", ".join(sorted({machine.accelerator for machine in machines if machine.accelerator}))
    raise RequestError(
        f"no machine known here has {cpu:g} cores, {memory:g} GiB of memory{gpu}",
        where=target,
        hint=f"ask for less, or name a machine in {setting}; types of GPU known here: {known}",
    )


def _has_gpus(machine: Machine, resources: Resources) -> bool:
    """An accelerator may be written as node labels have it: ``NVIDIA-A10G``."""
    if not resources.gpu:
        return machine.gpu == 0
    wanted = resources.accelerator.upper().replace("_", "-").replace(" ", "-")
    return machine.gpu >= resources.gpu and (not wanted or machine.accelerator in wanted.split("-"))

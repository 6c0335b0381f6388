"""A Ray to work in, for as long as a step needs it: the one that the target names, or else one of the step's own."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import ray
from ray.exceptions import RayTaskError

from jobs.contracts.errors import SeatrialError, StepFailed
from jobs.control.ray_folder import ray_folder
from jobs.steps.ray_head import start_ray


@contextmanager
def joined(address: str, cores: int) -> Iterator[None]:
    """Connected to the Ray at ``address``, or to one of our own with so many cores that ends with us."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with nullcontext("") if address else ray_folder() as folder:
        try:
            if address:
                ray.init(address=address, namespace="seatrial", log_to_driver=True, logging_level="warning")
            else:
                start_ray(cores, folder)
            for number, handler in handlers.items():
                signal.signal(number, handler)  # Ray puts its own in place, which end the process on the spot
            yield
        finally:
            ray.shutdown()


def cause_of(error: BaseException | None, what: str) -> SeatrialError:
    """A worker's own sentence where it has one. ``what`` failed."""
    found = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(found, SeatrialError):
        return found
    text = f"{type(found).__name__}: {found}".splitlines()[0] if found else "its worker was lost"
    return StepFailed(f"{what} failed: {text}", hint="read the step's log; the same command goes on with what has ended")

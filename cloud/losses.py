"""What a job file asks and neither cloud can express, said alike by both."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.control.spec import Kind, Step


def shared(step: Step, cloud: str) -> Iterator[str]:
    resources = step.resources
    if resources.gpu and not step.trains:
        yield f"gpu: a step of kind {step.kind} gets none"
    if resources.accelerator and not resources.gpu:
        yield "accelerator: no GPU is asked for, so its type is not used"
    if step.kind == Kind.DEPLOY and (step.time_limit or step.env):
        ignored = " and ".join(name for name, value in (("time_limit", step.time_limit), ("env", step.env)) if value)
        yield f"{ignored}: not used by an endpoint, which {cloud} gives its own limit to start"

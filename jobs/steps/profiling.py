"""Where the time of a few training steps goes, as a trace that Perfetto (ui.perfetto.dev) and chrome://tracing draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, schedule

_WARM_UP, _STEPS = 4, 6  # the first steps allocate, choose kernels and compile; the next ones are the trace


@contextmanager
def profiled(path: Path | None, steps: int, within: Callable[[], None] | None) -> Iterator[Callable[[], None] | None]:
    """``within``, to be called after each of an epoch's ``steps``, which also writes ``path`` (Chrome trace JSON, gzip) on the way.

    Fewer steps shorten the warm-up; nothing is written for a single one. Without a path, ``within`` as it is.
    """
    if path is None or steps < 2:
        yield within
        return
    warm_up = min(_WARM_UP, steps // 2)
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    plan = schedule(wait=0, warmup=warm_up, active=min(_STEPS, steps - warm_up), repeat=1)
    with profile(activities=activities, schedule=plan, on_trace_ready=lambda done: done.export_chrome_trace(str(path))) as tracer:

        def tick() -> None:
            tracer.step()
            if within:
                within()

        yield tick

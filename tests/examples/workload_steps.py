"""Steps of an example's job file as processes of their own, with fewer epochs where a test wants to be quick."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.contracts.job import Job
from jobs.control import spec_file
from jobs.control.backend import MODULES

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Workload:
    """``file``: the job file, below ``examples``; ``folder``: where outputs go."""

    file: str
    folder: Path

    def step(self, name: str, inputs: dict[str, str], **params: Any) -> str:
        """Run one step; its output's place. ``params`` go over those of the job file."""
        pipeline = spec_file.load(REPOSITORY / "examples" / self.file, ())
        step, code = pipeline.steps[name], (REPOSITORY / "examples" / self.file).parent
        (output,) = step.outputs
        job = Job(
            pipeline=pipeline.name,
            run="r1",
            step=name,
            kind=step.kind,
            entry=step.entry,
            params=step.params | params,
            resources={"workers": 0, "cpu": 2, "memory": "2Gi"},
            inputs=tuple(inputs),
            outputs=(output,),
            fingerprint=f"{pipeline.name}-{name}",
        )
        home = self.folder / name
        home.mkdir(parents=True, exist_ok=True)
        (home / "job.json").write_text(job.model_dump_json())
        places = {f"SEATRIAL_INPUT_{key.upper()}": value for key, value in inputs.items()}
        places |= {f"SEATRIAL_OUTPUT_{output.upper()}": str(home / output), "SEATRIAL_CODE": str(code), "SEATRIAL_STEP_DIR": str(home)}
        path = os.pathsep.join((str(code), str(REPOSITORY)))
        argv = [sys.executable, "-m", MODULES[step.kind], "--job", str(home / "job.json")]
        subprocess.run(argv, env={**os.environ, **places, "PYTHONPATH": path}, check=True, timeout=550)
        return str(home / output)

    def whole(self, raw: str, **params: Any) -> dict[str, Any]:
        """Features, baseline, training (with ``params``) and evaluation; the report's numbers."""
        dataset = self.step("features", {"raw": raw})
        baseline, bundle = self.step("baseline", {"dataset": dataset}), self.step("train", {"dataset": dataset}, **params)
        report = self.step("judge", {"dataset": dataset, "bundle": bundle, "baseline": baseline})
        return json.loads((Path(report) / "metrics.json").read_text())  # type: ignore[no-any-return]

    def place(self, step: str, output: str) -> str:
        return str(self.folder / step / output)


def metric(numbers: dict[str, Any], name: str, role: str = "model") -> float:
    return float(numbers["contenders"][role]["metrics"][name]["value"])

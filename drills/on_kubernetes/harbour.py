"""The cluster of the current kubeconfig context, with a sandbox in front of it: the tiny workload, driven by the command line and by kubectl."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drills.sandbox import FILE, Sandbox, make_sandbox
from drills.story import Failed, Skipped
from jobs.contracts.errors import InputError
from jobs.contracts.job import METRICS
from jobs.control.backend import open_backend
from jobs.control.home import Home
from jobs.control.spec import KubernetesTarget, Targets

EPOCHS = 600  # long enough for a pod to be killed in the middle
LIMIT = 900.0  # seconds that a job may take, its pods included
_RESUMED = re.compile(r"resuming after epoch (\d+)")


@dataclass(frozen=True)
class Harbour:
    sea: Sandbox
    namespace: str
    sets: Sequence[str]  # further --set of every job, such as images

    def submit(self, step: str, *pairs: str) -> dict[str, Any]:
        """What ``seatrial submit`` says: handle and run."""
        every = (f"targets.kubernetes.namespace={self.namespace}", *self.sets, *pairs)
        words = [word for pair in every for word in ("--set", pair)]
        answer = self.sea.run("submit", FILE, "--step", step, "--on", "kubernetes", *words, "--output", "json", limit=LIMIT)
        if answer.returncode:
            raise Failed(answer.stderr)
        return json.loads(answer.stdout)  # type: ignore[no-any-return]

    def ends_well(self, handle: str) -> bool:
        return self.sea.run("status", handle, "--wait", "--timeout", str(LIMIT), limit=LIMIT + 60).returncode == 0

    def doctor(self, handle: str) -> str:
        return self.sea.run("doctor", handle).stdout

    def log(self, handle: str) -> str:
        return self.sea.run("logs", handle).stdout

    def epoch(self, run: str) -> int:
        """The last one that the training step of a run has reported."""
        return max((int(found) for found in re.findall(r'"epoch": (\d+)', self._metrics(run))), default=0)

    def resumed(self, run: str) -> list[int]:
        """After which epochs training was taken up again."""
        return [int(found) for found in _RESUMED.findall(self._metrics(run))]

    def _metrics(self, run: str) -> str:
        """What the step has reported, as it lies in the cluster's store."""
        target = KubernetesTarget(namespace=self.namespace)
        backend = open_backend("kubernetes", Home(self.sea.store), Targets(kubernetes=target))
        try:
            return backend.read(f"{target.store}/runs/{run}/fit/{METRICS}").decode()
        except InputError:  # it has reported nothing yet
            return ""

    def pods(self, run: str, **labels: str) -> list[dict[str, Any]]:
        wanted = ",".join(f"{key}={value}" for key, value in {"seatrial.dev/run": run, **labels}.items())
        return json.loads(self.kubectl("get", "pods", f"--selector={wanted}", "--output=json"))["items"]  # type: ignore[no-any-return]

    def kubectl(self, *words: str) -> str:
        answer = subprocess.run(["kubectl", "--namespace", self.namespace, *words], capture_output=True, text=True, check=False, timeout=LIMIT)
        if answer.returncode:
            raise Failed(f"kubectl {' '.join(words)}: {answer.stderr}")
        return answer.stdout

    def make_features(self) -> None:
        if not self.ends_well(self.submit("prepare")["handle"]):
            raise Failed("the features were not made")

    def trained_to(self, epoch: int, *pairs: str) -> dict[str, Any]:
        """A training of its own that has come so far."""
        self.make_features()
        small = ("steps.fit.resources.memory=512Mi", "steps.fit.resources.cpu=0.1")  # two workers and a head fit a laptop's only node
        job = self.submit("fit", f"steps.fit.params.epochs_at_most={EPOCHS}", "steps.fit.retries=2", *small, *pairs)
        wait_until(lambda: self.epoch(job["run"]) >= epoch, lambda: self.doctor(job["handle"]))
        return job


def enter(folder: Path, namespace: str, sets: Sequence[str]) -> Harbour:
    """Errors: Skipped where there is no cluster with Seatrial in it."""
    harbour = Harbour(make_sandbox(folder), namespace, sets)
    try:
        harbour.kubectl("get", "persistentvolumeclaim", "seatrial-data")
    except (Failed, FileNotFoundError) as error:
        raise Skipped(f"no Seatrial in the namespace {namespace} of the current context (seatrial cluster up): {error}") from None
    return harbour


def wait_until(holds: Callable[[], object], explain: Callable[[], str], limit: float = LIMIT) -> None:
    deadline = time.monotonic() + limit
    while not holds():
        if time.monotonic() > deadline:
            raise Failed(f"waited {limit:.0f} s in vain\n{explain()}")
        time.sleep(1)

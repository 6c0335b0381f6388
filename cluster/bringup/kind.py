"""kind: a node that is a container of Docker's. https://kind.sigs.k8s.io/docs/user/configuration/"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from cluster.bringup.kubectl import Kubectl
from cluster.bringup.providers import Record
from cluster.bringup.runner import Runner, Say
from cluster.bringup.settings import NODE_PORT, Settings
from jobs.contracts.errors import RequestError, RunError, from_os_error

STORE = "/seatrial-store"  # on the node: the folder of this machine that becomes the store's volume


def configuration(name: str, store: Path, port: int, *, gpu: bool = False) -> dict[str, Any]:
    """The cluster, as ``kind create cluster --config`` reads it."""
    mounts = [{"hostPath": str(store), "containerPath": STORE}]
    if gpu:
        # NVIDIA's container runtime gives the node every GPU for this mount, if it may be asked that way:
        # accept-nvidia-visible-devices-as-volume-mounts = true in its configuration.
        mounts.append({"hostPath": "/dev/null", "containerPath": "/var/run/nvidia-container-devices/all"})
    node = {
        "role": "control-plane",
        "extraPortMappings": [{"containerPort": NODE_PORT, "hostPort": port, "listenAddress": "127.0.0.1", "protocol": "TCP"}],
        "extraMounts": mounts,
    }
    return {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "name": name, "nodes": [node]}


class Kind:
    tools = ("docker", "kind")
    profile = "kind"
    is_ours = True

    def __init__(self, settings: Settings, runner: Runner) -> None:
        self._settings, self._runner = settings, runner
        self._record = Record(settings.folder)
        self._file = settings.folder / "kind.yaml"

    @property
    def context(self) -> str:
        return f"kind-{self._settings.name}"

    @property
    def node(self) -> str:
        return f"{self._settings.name}-control-plane"

    @property
    def store(self) -> Path:
        return self._settings.folder / "store"

    @property
    def serve_url(self) -> str:
        """The port is chosen when the node is made, and stays."""
        made = self._made_with() or configuration(self._settings.name, self.store, self._settings.port)
        return f"http://127.0.0.1:{made['nodes'][0]['extraPortMappings'][0]['hostPort']}"

    def _made_with(self) -> dict[str, Any] | None:
        return yaml.safe_load(self._file.read_text()) if self._file.exists() else None

    def exists(self) -> bool:
        return self._settings.name in self._runner.ask("kind", "get", "clusters").split()

    def create(self, say: Say) -> str:
        if self.exists():
            if not self._record.was_cut_off:
                self._refuse_other_mounts()
                return self._wake()
            say("removing what an interrupted start has left")
            self._delete()
        self._make(say)
        return f"made {self.context}"

    def _refuse_other_mounts(self) -> None:
        made = self._made_with()
        if self._settings.gpu and made and len(made["nodes"][0]["extraMounts"]) < 2:
            hint = "seatrial cluster down, then up --gpu: its data stays"
            raise RequestError("the cluster was made without GPUs, and a node's mounts cannot be changed", where=self.context, hint=hint)

    def _wake(self) -> str:
        """It is there; after a restart of Docker its node may be stopped, and a kubeconfig of its own may not know it."""
        was_stopped = self._runner.ask("docker", "inspect", "--format", "{{.State.Running}}", self.node).strip() != "true"
        if was_stopped:
            self._runner.ask("docker", "start", self.node)
        if not self._runner.attempt("kubectl", "config", "get-contexts", self.context).ok:
            self._runner.ask("kind", "export", "kubeconfig", "--name", self._settings.name)  # which also makes it the current one
        Kubectl(self._runner, self.context, self._settings.namespace).await_api()
        return f"{'started' if was_stopped else 'found'} {self.context}"

    def _make(self, say: Say) -> None:
        try:
            self.store.mkdir(parents=True, exist_ok=True)
            self.store.chmod(0o777)  # pods write as user 1000, which need not be this one
            wanted = configuration(self._settings.name, self.store, self._settings.port, gpu=self._settings.gpu)
            self._file.write_text(yaml.safe_dump(wanted, sort_keys=False))
        except OSError as error:
            raise from_os_error(error, str(self._settings.folder)) from error
        self._record.begin()
        try:
            self._runner.follow("kind", "create", "cluster", "--config", str(self._file), "--wait", "2m", say=say)
        except RunError as error:
            if "port is already allocated" in error.what or "address already in use" in error.what:
                raise RunError(error.what, where=error.where, hint=f"stop what uses port {self._settings.port}, or choose another: --port") from error
            raise
        self._record.finish()

    def load(self, image: str) -> bool:
        """kind compares the image's id with the node's, and sends only what differs."""
        done = self._runner.attempt("kind", "load", "docker-image", image, "--name", self._settings.name)
        if not done.ok:
            raise done.error()
        return "already present" not in done.out + done.err

    def values(self) -> dict[str, object]:
        return {"storage": {"claim": {"hostPath": STORE}}}

    def remove(self, *, purge: bool) -> list[str]:
        there = self.exists()
        if there and purge:
            # Pods wrote as another user: only the node may remove it. A stopped node cannot, and then what is ours is.
            self._runner.attempt("docker", "exec", self.node, "find", STORE, "-mindepth", "1", "-delete")
        if there:
            self._delete()
        self._record.finish()
        for file in (self._file, self._settings.folder / "values.yaml"):
            file.unlink(missing_ok=True)
        if purge or not self.store.exists() or not any(self.store.iterdir()):
            shutil.rmtree(self._settings.folder, ignore_errors=True)
        return [f"the data in {self.store}: the next `cluster up` finds it, and --purge removes it"] if self.store.exists() else []

    def _delete(self) -> None:
        self._runner.ask("kind", "delete", "cluster", "--name", self._settings.name)

"""minikube: a machine of its own, or a container of Docker's. https://minikube.sigs.k8s.io/docs/commands/start/"""

from __future__ import annotations

import json
import shutil

from cluster.bringup.providers import Record
from cluster.bringup.runner import Runner, Say
from cluster.bringup.settings import Settings


class Minikube:
    tools = ("docker", "minikube")
    profile = "minikube"
    is_ours = True
    serve_url = ""

    def __init__(self, settings: Settings, runner: Runner) -> None:
        self._settings, self._runner = settings, runner
        self._record = Record(settings.folder)

    @property
    def context(self) -> str:
        return self._settings.name

    def _argv(self, *words: str) -> tuple[str, ...]:
        return ("minikube", *words, "--profile", self._settings.name)

    def exists(self) -> bool:
        """Also a stopped one. minikube fails where there is no profile at all, and still prints its empty lists."""
        try:
            listed = json.loads(self._runner.attempt("minikube", "profile", "list", "--output", "json").out or "{}")
        except ValueError:
            return False
        profiles = [*(listed.get("valid") or ()), *(listed.get("invalid") or ())]
        return self._settings.name in {str(each.get("Name")) for each in profiles}

    def create(self, say: Say) -> str:
        there = self.exists()
        if there and self._record.was_cut_off:
            say("removing what an interrupted start has left")
            self._runner.ask(*self._argv("delete"))
            there = False
        if there and self._is_running():
            self._runner.ask(*self._argv("update-context"))
            return f"found {self.context}"
        if not there:
            self._record.begin()
        self._runner.follow(*self._argv("start"), *self._start_options(), say=say)
        self._record.finish()
        return f"{'started' if there else 'made'} {self.context}"

    def _is_running(self) -> bool:
        """Its exit code is not zero for anything that is not running; the answer says more."""
        try:
            status = json.loads(self._runner.attempt(*self._argv("status", "--output", "json")).out or "{}")
        except ValueError:
            return False
        return isinstance(status, dict) and status.get("Host") == "Running" and status.get("APIServer") == "Running"

    def _start_options(self) -> list[str]:
        settings = self._settings
        found = ["--keep-context"]  # kubectl's current context stays the user's own choice
        found += [f"--cpus={settings.cpus}"] if settings.cpus else []
        found += [f"--memory={settings.memory}"] if settings.memory else []
        return found + (["--driver=docker", "--container-runtime=docker", "--gpus=all"] if settings.gpu else [])

    def load(self, image: str) -> bool:
        """Sent whole each time, so the ids are compared first."""
        here = self._runner.ask("docker", "image", "inspect", "--format", "{{.Id}}", image).strip().removeprefix("sha256:")
        if here and here in self._ids(image):
            return False
        self._runner.ask(*self._argv("image", "load", image))
        return True

    def _ids(self, image: str) -> set[str]:
        try:
            listed = json.loads(self._runner.ask(*self._argv("image", "ls", "--format", "json")) or "[]")
        except ValueError:
            return set()
        named = [each for each in listed or () if any(tag == image or tag.endswith(f"/{image}") for tag in each.get("repoTags") or ())]
        return {str(each.get("id", "")).removeprefix("sha256:") for each in named}

    def values(self) -> dict[str, object]:
        return {}

    def remove(self, *, purge: bool) -> list[str]:
        """Its disk is inside it: the data goes with the cluster."""
        if self.exists():
            self._runner.ask(*self._argv("delete"))
        shutil.rmtree(self._settings.folder, ignore_errors=True)
        return []

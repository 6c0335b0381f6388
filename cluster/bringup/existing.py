"""A cluster that somebody runs: named, asked about, and changed only in Seatrial's own namespace and the operator's."""

from __future__ import annotations

from cluster.bringup.runner import Runner, Say
from cluster.bringup.settings import Settings
from jobs.contracts.errors import RunError, SetupError


class Existing:
    tools: tuple[str, ...] = ()
    is_ours = False
    serve_url = ""

    def __init__(self, settings: Settings, runner: Runner) -> None:
        self._settings, self._runner = settings, runner
        self.profile = "gpu" if settings.gpu else ""
        self._context = settings.context

    @property
    def context(self) -> str:
        """Asked for once: a context that is changed meanwhile must not move the work to another cluster."""
        if not self._context:
            done = self._runner.attempt("kubectl", "config", "current-context")
            if not done.ok:
                hint = "kubectl config get-contexts lists them; choose one with --context, or make a cluster: seatrial cluster up --provider kind"
                raise SetupError("kubectl has no current context", where="kubeconfig", hint=hint)
            self._context = done.out.strip()
        return self._context

    @property
    def server(self) -> str:
        words = ("config", "view", "--minify", "--context", self.context, "--output", "jsonpath={.clusters[0].cluster.server}")
        return self._runner.ask("kubectl", *words, hint="kubectl config get-contexts lists the contexts").strip()

    def exists(self) -> bool:
        return bool(self.server)

    def create(self, say: Say) -> str:
        done = self._runner.attempt("kubectl", "--context", self.context, "get", "--raw", "/readyz", "--request-timeout=20s")
        if not done.ok:
            raise RunError(f"no answer from {self.server}", where=self.context, hint=f"log in again, or choose another context; it said: {done.err.strip()}")
        return f"found {self.context} ({self.server})"

    def load(self, image: str) -> bool:
        """Its nodes pull from a registry."""
        return False

    def values(self) -> dict[str, object]:
        return {}

    def remove(self, *, purge: bool) -> list[str]:
        return []

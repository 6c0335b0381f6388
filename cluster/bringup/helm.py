"""helm, for one context: what is installed, and with what."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from cluster.bringup.runner import Done, Runner
from jobs.contracts.errors import RunError

DEPLOYED = "deployed"
_CUT_OFF = ("pending-install", "pending-upgrade", "pending-rollback")


@dataclass(frozen=True)
class Release:
    """``digest``: of what it was installed from, as we wrote it into its description; empty for other people's."""

    name: str
    status: str
    digest: str
    ours: bool


@dataclass(frozen=True)
class Source:
    """A chart and its values. ``chart``: a folder, a ``.tgz``, or a name in ``repository``."""

    chart: str
    repository: str = ""
    version: str = ""
    values: tuple[Path, ...] = ()
    sets: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        found = [self.chart]
        found += ["--repo", self.repository] if self.repository else []
        found += ["--version", self.version] if self.version else []
        found += [word for path in self.values for word in ("--values", str(path))]
        return found + [word for pair in self.sets for word in ("--set", pair)]

    def digest(self) -> str:
        """Changes with anything that the release would be made of."""
        content = hashlib.sha256(json.dumps([Path(self.chart).name, self.repository, self.version, self.sets]).encode())
        folder = Path(self.chart)
        files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else [folder] if folder.is_file() else []
        for path in [*files, *self.values]:
            content.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        return content.hexdigest()[:16]


@dataclass(frozen=True)
class Helm:
    runner: Runner
    context: str
    namespace: str

    def argv(self, *words: str) -> tuple[str, ...]:
        return ("helm", *words, "--kube-context", self.context, "--namespace", self.namespace)

    def release(self, name: str) -> Release | None:
        done = self.runner.attempt(*self.argv("status", name, "--output", "json"))
        if not done.ok:
            if "not found" in done.err:
                return None
            raise done.error()
        info = _parsed(done).get("info") or {}
        marked = str(info.get("description", "")).partition(_MARK)
        return Release(name, str(info.get("status", "")), marked[2], bool(marked[1]))

    def bring(self, name: str, source: Source, *, may_mend: bool) -> bool:
        """Install or upgrade, unless it is deployed from this very source. Returns whether anything was done.

        ``may_mend``: the cluster is ours alone, so an operation that is under way can only be a helm that was killed.
        """
        digest, current = source.digest(), self.release(name)
        if current and current.status == DEPLOYED and current.digest == digest:
            return False
        if current and current.status in _CUT_OFF:
            self._mend(current, may_mend)
        self.runner.ask(*self.argv("upgrade", "--install", name, *source.arguments(), *self._forcing(), "--description", f"{_MARK}{digest}"))
        return True

    def _forcing(self) -> tuple[str, ...]:
        """The KubeRay operator writes into the RayService that the chart made. Helm 4 applies on the server, which would refuse to
        touch those fields again; Helm 3 merges, and knows neither option."""
        version = self.runner.ask("helm", "version", "--short").strip().removeprefix("v")
        return ("--server-side=true", "--force-conflicts") if int(version.partition(".")[0] or 0) >= 4 else ()

    def _mend(self, current: Release, may_mend: bool) -> None:
        undo = ("uninstall", current.name, "--wait") if current.status == "pending-install" else ("rollback", current.name)
        if not may_mend:
            hint = f"if nobody is at it any more: {' '.join(self.argv(*undo))}, and then the same command again"
            raise RunError(f"the release {current.name} is {current.status}: another helm works on it, or was killed", where=self.context, hint=hint)
        self.runner.ask(*self.argv(*undo))

    def remove(self, name: str) -> bool:
        """Returns whether it was there. Waits until its objects are gone."""
        if self.release(name) is None:
            return False
        self.runner.ask(*self.argv("uninstall", name, "--wait", "--timeout", "5m"))
        return True


_MARK = "seatrial cluster up "


def _parsed(done: Done) -> dict[str, dict[str, object]]:
    try:
        return dict(json.loads(done.out))
    except ValueError as error:
        raise RunError(f"helm answered what is no JSON: {done.out[:200]!r}", where=" ".join(done.argv)) from error

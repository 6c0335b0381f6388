"""kubectl, for one context and one namespace: objects as plain dictionaries, and what changes as it changes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from queue import Queue
from typing import Any

from cluster.bringup.runner import Done, Runner, Stream, Told
from jobs.contracts.errors import RunError

Object = dict[str, Any]
_TIMEOUT = "--request-timeout=20s"  # for what answers at once


@dataclass(frozen=True)
class Kubectl:
    runner: Runner
    context: str
    namespace: str

    def within(self, namespace: str) -> Kubectl:
        return replace(self, namespace=namespace)

    def argv(self, *words: str) -> tuple[str, ...]:
        return ("kubectl", "--context", self.context, "--namespace", self.namespace, *words)

    def attempt(self, *words: str, data: str = "") -> Done:
        return self.runner.attempt(*self.argv(*words), data=data)

    def ask(self, *words: str, data: str = "", hint: str = "") -> str:
        return self.runner.ask(*self.argv(*words), data=data, hint=hint)

    def answers(self) -> bool:
        return self.attempt("get", "--raw", "/readyz", _TIMEOUT).ok

    def await_api(self, limit: float = 180) -> None:
        """A server that does not answer cannot be watched, so it is asked, less and less often.

        Errors: RunError with kubectl's words after ``limit`` seconds.
        """
        deadline, pause = time.monotonic() + limit, 0.2
        while not (done := self.attempt("get", "--raw", "/readyz", _TIMEOUT)).ok:
            if time.monotonic() > deadline:
                raise done.error()
            time.sleep(pause)
            pause = min(2.0, pause * 1.5)

    def get(self, kind: str, name: str) -> Object | None:
        """None = not there, or the cluster does not know the kind."""
        done = self.attempt("get", kind, name, "--output", "json", _TIMEOUT)
        return None if _is_absent(done) else _parsed(done)

    def list(self, kind: str, *more: str) -> list[Object]:
        """``more``: a selector, ``--all-namespaces``. Empty also when the cluster does not know the kind."""
        done = self.attempt("get", kind, *more, "--output", "json", _TIMEOUT)
        return [] if _is_absent(done) else list(_parsed(done).get("items", ()))

    def apply(self, body: Object) -> None:
        self.ask("apply", "--server-side", "--force-conflicts", "--field-manager", "seatrial", "--filename", "-", data=json.dumps(body))

    def delete(self, kind: str, *which: str) -> None:
        """Waits until it is gone; harmless when it is not there, or when the cluster does not know the kind."""
        done = self.attempt("delete", kind, *which, "--ignore-not-found", "--wait", "--timeout=5m")
        if not done.ok and not _is_absent(done):
            raise done.error()

    def watch(self, kind: str, into: Queue[Told]) -> Stream:
        """Everything of this kind that is there, then every change; see :func:`events`."""
        return self.runner.watch(*self.argv("get", kind, "--watch", "--output-watch-events", "--output", "json"), into=into, name=kind)


def _is_absent(done: Done) -> bool:
    return not done.ok and ("NotFound" in done.err or "doesn't have a resource type" in done.err or "no matches for kind" in done.err)


def _parsed(done: Done) -> Object:
    if not done.ok:
        raise done.error()
    try:
        return dict(json.loads(done.out))
    except ValueError as error:
        raise RunError(f"kubectl answered what is no JSON: {done.out[:200]!r}", where=" ".join(done.argv)) from error


class Events:
    """Cuts kubectl's endless output into (type, object): one JSON text after the other, in pieces that end anywhere."""

    def __init__(self) -> None:
        self._rest, self._decoder = "", json.JSONDecoder()

    def feed(self, piece: str) -> Iterator[tuple[str, Object]]:
        self._rest = (self._rest + piece).lstrip()
        while self._rest:
            try:
                event, end = self._decoder.raw_decode(self._rest)
            except ValueError:
                return  # the rest is on its way
            self._rest = self._rest[end:].lstrip()
            yield str(event["type"]), dict(event["object"])

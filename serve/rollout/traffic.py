"""Follows the registry, chooses the version that answers each request, and looks at the answers afterwards.

Two threads beside the event loop: one polls the registry and loads what is wanted; the other takes the answers from a bounded queue
five times a second, counts, lets a shadow score its copy, and hands them to the watchers (prediction log, drift). The event loop
itself reads one attribute per request and appends to one queue.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from jobs.control.rollout.record import Mode
from serve.rollout.answered import Answered, Batch, Waiting, batches
from serve.rollout.figures import Figures
from serve.rollout.loading import Shelf
from serve.rollout.split import Split
from serve.rollout.tally import Tally

if TYPE_CHECKING:
    from jobs.control.rollout.standing import Standing
    from serve.model import LoadedModel

log = logging.getLogger(__name__)

POLL_SECONDS = 0.25  # reading the registry is one look into a local SQLite file
LOOK_SECONDS = 0.2  # between two looks at the queue: the more answers at once, the less each costs
REPORT_SECONDS = 1.0  # between two reports, while a version is on trial
WAITING_ROWS = 50_000  # in the queue: some ten seconds at the highest rate of one replica
SHADOW_ROWS = 1_000  # that a shadow scores in one look; of more, an even sample

Report = Callable[[str, dict[str, Any]], dict[str, Any]]


class Watcher(Protocol):
    """Called on the looking thread. ``role``: champion, canary, shadow or, by its number, version."""

    def see(self, batch: Batch, role: str) -> None: ...
    def tick(self) -> None: ...
    def close(self) -> None: ...
    def state(self) -> dict[str, Any]: ...


class RolloutTraffic:
    """The service's traffic of one registered name (:class:`serve.seam.Traffic`)."""

    def __init__(
        self,
        name: str,
        standing: Callable[[], Standing],
        *,
        report: Report | None = None,
        watchers: Sequence[Watcher] = (),
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self.name, self.problem, self._trouble = name, "", ""  # of loading; of the shadow's scoring
        self.split = Split()
        self._standing, self._report, self._watchers = standing, report, tuple(watchers)
        self._poll_seconds = poll_seconds
        self._replica = uuid.uuid4().hex[:12]
        self._shelf, self._waiting, self._tally = Shelf(), Waiting(WAITING_ROWS), Tally()
        self._reported, self._service = 0.0, {}  # type: tuple[float, dict[str, Figures]]
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._looking = threading.Lock()

    # On the event loop

    @property
    def live(self) -> LoadedModel | None:
        return self.split.champion

    def choose(self, request_id: str) -> LoadedModel | None:
        return self.split.choose(request_id)

    def by_version(self, version: str) -> LoadedModel | None:
        return self.split.by_version(version)

    def after(self, scored: Answered) -> None:
        self._waiting.put(scored)

    def state(self) -> dict[str, Any]:
        """``versions`` hold the figures of this replica, or of the whole service while the coordinator is asked."""
        split, seen = self.split, self._service or dict(self._tally.versions)
        figures = {version: found.brief() for version, found in seen.items()}
        loaded = [{"version": model.version, "role": self.role(model, split), **figures.get(model.version, {})} for model in split.models()]
        rollout = split.rollout.model_dump(mode="json")
        found = {"replica": self._replica, "rollout": rollout, "versions": loaded, "problem": self.problem or self._trouble, "unseen": self._waiting.dropped}
        for watcher in self._watchers:
            found |= watcher.state()
        return found

    # Threads

    def start(self) -> None:
        for target, name in ((self._follow, "model-slot"), (self._look, "answer-looker")):
            thread = threading.Thread(target=target, daemon=True, name=name)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=5)
        self.look()
        for watcher in self._watchers:
            watcher.close()

    def refresh(self) -> None:
        """Look once at the registry, and load what it wants. Never raises."""
        try:
            wanted = self._standing()
        except Exception as error:  # a registry that is away must not stop a model that is here
            self._tell(f"cannot read the registry: {getattr(error, 'what', error)}")
            return
        if wanted.champion is None:  # an alias that went away leaves the last good version answering
            self._tell("")
            return
        shelf, now = self._shelf, self.split
        champion = shelf.get(wanted.champion)
        if champion is None:
            self._tell(shelf.problem(wanted.champion))
            return
        after = Split(champion, shelf.get(wanted.challenger), shelf.get(wanted.previous), wanted.rollout)
        if after != now:
            self.split, self._trouble = after, ""
            log.info("%s: version %s answers, %s", self.name, champion.version, wanted.rollout.mode)
        shelf.keep((wanted.champion, wanted.challenger, wanted.previous), after.models())
        self._tell(shelf.problem(wanted.challenger))

    def look(self) -> None:
        """Take what waits in the queue, once. Never raises."""
        with self._looking:
            split = self.split
            self._tally.follow(split.rollout)
            for batch in batches(self._waiting.take()):
                self._guard(self._see, batch, split)
            for watcher in self._watchers:
                self._guard(watcher.tick)
            if self._report and self._tally.under_trial(time.time()):
                self._guard(self._send_report)
            elif self._service:
                self._service = {}

    def _see(self, batch: Batch, split: Split) -> None:
        self._tally.of(batch.model.version).add(batch.seconds, batch.failed, batch.probabilities)
        role = self.role(batch.model, split)
        self._show(batch, role)
        if split.shadow is not None and role == "champion" and batch.rows:
            self._shadow(batch.sample(SHADOW_ROWS), split.shadow)

    def _show(self, batch: Batch, role: str) -> None:
        if batch.rows:
            for watcher in self._watchers:
                self._guard(watcher.see, batch, role)

    def _shadow(self, batch: Batch, challenger: LoadedModel) -> None:
        """Let it score a copy. A row that it cannot score counts as failed; its time is not compared, because nobody waits for it."""
        try:
            probabilities = challenger.headline(challenger.scorer.score(batch.columns, batch.rows))
            failed = ~np.isfinite(probabilities)
        except Exception as error:  # it wants a column that clients do not send, or breaks on what they do
            self._trouble = f"the shadow, version {challenger.version}, cannot score this traffic: {error!r:.200}"
            probabilities, failed = np.empty(0, np.float32), np.ones(batch.rows, np.bool_)
        self._tally.of(challenger.version).add(np.empty(0), failed, probabilities[~failed] if len(probabilities) else probabilities)
        if not failed.any():
            shown = Batch(challenger, np.empty(0), failed[:0], batch.ids, batch.positions, batch.columns, probabilities)
            self._show(shown, "shadow")

    def _send_report(self) -> None:
        if time.monotonic() - self._reported < REPORT_SECONDS or self._report is None:
            return
        self._reported = time.monotonic()
        totals = self._report(self._replica, self._tally.plain())
        self._service = {version: Figures.of(plain) for version, plain in totals.items()}

    @staticmethod
    def role(model: LoadedModel, split: Split) -> str:
        if model is split.champion:
            return "champion"
        if model is split.challenger:
            return "canary" if split.rollout.mode == Mode.CANARY else "shadow"
        return "previous"

    def _guard(self, work: Callable[..., None], *args: Any) -> None:
        try:
            work(*args)
        except Exception:  # looking at answers must never stop; what fails again and again shows in the log
            log.exception("%s: looking at answers failed", self.name)

    def _tell(self, problem: str) -> None:
        if problem and problem != self.problem:  # once, not at every poll
            log.warning("%s: %s%s", self.name, problem, f"; version {self.live.version} keeps answering" if self.live else "")
        self.problem = problem

    def _follow(self) -> None:
        while True:
            self.refresh()
            if self._stop.wait(self._poll_seconds):
                return

    def _look(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self.look()

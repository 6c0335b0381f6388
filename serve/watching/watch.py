"""Looks at live traffic, and runs the job file when the policy says so: ETL, training, gate and promotion, from end to end.

State lies in ``<home>/watch/<model>.jsonl``, one line per alarm and per end of a run, so that a watcher that starts anew keeps to the
cooldown. Only traffic that the champion of now answered counts: after a promotion everything begins anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jobs.contracts.errors import InputError, SeatrialError, from_os_error
from jobs.control import artefacts, pipeline
from jobs.control.home import Home
from jobs.control.registry import CHAMPION
from jobs.control.registry_reader import ModelVersion, resolve_alias
from jobs.control.services import read_service
from jobs.control.spec import seconds
from serve.watching import drift_report, quality
from serve.watching.policy import Policy, Seen, decide

Say = Callable[[str], None]


@dataclass(frozen=True)
class Event:
    """A line of the record. ``kind``: alarm, done or failed."""

    time: float
    kind: str
    text: str
    champion: str = ""
    run: str = ""


class Watch:
    def __init__(self, policy: Policy, home: Home, folder: Path, say: Say = lambda _: None) -> None:
        """``folder``: the model's prediction log."""
        self._policy, self._home, self._folder, self._say = policy, home, folder, say
        self._record = home.root / "watch" / f"{policy.model}.jsonl"

    def forever(self) -> None:
        while True:
            self.once()
            time.sleep(seconds(self._policy.every))

    def once(self) -> Event | None:
        """Look, decide, and train where there is a reason: the last event of this look. A run that fails does not end the watch."""
        champion = resolve_alias(self._home.tracking_uri, self._policy.model, CHAMPION)
        if champion is None:
            self._say(f"{self._policy.model} has no champion yet")
            return None
        seen = self.look(champion)
        reason = decide(self._policy, seen)
        self._say(f"{self._policy.model} version {champion.version}: {seen.rows:,} rows; {reason or 'no reason to train'}")
        if not reason or (wait := self._cooldown()) > 0:
            if reason:
                self._say(f"not before {wait:.0f} s: the last run began less than {self._policy.cooldown} ago")
            return None
        self._write(Event(time.time(), "alarm", reason, champion.version))
        return self._train(champion.version)

    def look(self, champion: ModelVersion) -> Seen:
        rule, started = self._policy.drift, champion.created
        try:
            report = drift_report.make(self._folder, champion, hours=rule.hours, psi_limit=rule.limit, since=started) if rule else None
            live = self._quality(champion)
        except InputError:  # nobody asked yet
            report, live = None, None
        wanted = self._policy.quality
        reference = artefacts.describe(champion).metrics.get(wanted.metric) if wanted else None
        return Seen(
            rows=report.rows if report else 0,
            drifted=report.drifted if report else (),
            age=time.time() - champion.created,
            quality=live,
            reference=reference.value if reference else None,
        )

    def events(self) -> Iterator[Event]:
        """Everything recorded, oldest first; a line that a crash cut off is passed over."""
        try:
            lines = self._record.read_text().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                yield Event(**json.loads(line))
            except (ValueError, TypeError):
                continue

    def _quality(self, champion: ModelVersion) -> quality.Quality | None:
        if self._policy.quality is None:
            return None
        threshold = {champion.version: artefacts.describe(champion).threshold}
        found = quality.measure(self._folder, threshold, since=champion.created)
        return next((each for each in found if each.version == champion.version and not each.trial), None)

    def _cooldown(self) -> float:
        """Seconds until a run may begin."""
        last = max((event.time for event in self.events() if event.kind == "alarm"), default=0.0)
        return last + seconds(self._policy.cooldown) - time.time()

    def _train(self, before: str) -> Event:
        """The whole pipeline as ``seatrial run`` drives it; the gate promotes, and the service follows."""
        options = pipeline.Options(target=self._policy.target, overrides=self._policy.set, keep=read_service(self._home) is not None)
        try:
            record = pipeline.run(self._policy.pipeline, self._home, options)
        except SeatrialError as error:
            return self._write(Event(time.time(), "failed", str(error), before))
        now = resolve_alias(self._home.tracking_uri, self._policy.model, CHAMPION)
        champion = now.version if now else before
        verdict = f"version {champion} is the champion" if champion != before else f"version {record.model_version} was not better: version {before} stays"
        return self._write(Event(time.time(), "done", verdict, champion, record.run))

    def _write(self, event: Event) -> Event:
        self._say(f"{event.kind}: {event.text}")
        try:
            self._record.parent.mkdir(parents=True, exist_ok=True)
            with self._record.open("a") as stream:
                stream.write(json.dumps(asdict(event)) + "\n")
        except OSError as error:
            raise from_os_error(error, str(self._record)) from error
        return event


def plain(event: Event | None) -> dict[str, Any]:
    return asdict(event) if event else {"kind": "quiet"}

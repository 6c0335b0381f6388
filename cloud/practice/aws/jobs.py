"""The state machine that training, processing, transform and tuning jobs share.

``InProgress -> Completed | Failed``, and ``InProgress -> Stopping -> Stopped``. A job is a thread: :meth:`JobRun.work` does the kind's
own part, raises :class:`Failed` with the service's reason, and looks at :attr:`JobRun.stopping` wherever it waits.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from cloud.practice.aws.service import Service, now
from cloud.practice.aws.store import Document
from cloud.practice.hosts import Ended, HostGroup, Run
from cloud.practice.images import Image

log = logging.getLogger(__name__)
STOPPED_WITH_SERVICE = "InternalServerError: the practice service was stopped while the job ran"


class Failed(Exception):
    """The job fails with this reason, in the service's words."""


class Stopped(Exception):
    """The job was stopped while it waited."""


class JobRun:
    """One job at work. Subclasses set ``kind`` and ``prefix`` (of its status's key: ``TrainingJobStatus``) and do :meth:`work`."""

    kind = ""
    prefix = ""

    def __init__(self, service: Service, region: str, name: str) -> None:
        self.service, self.region, self.name = service, region, name
        self.stopping = threading.Event()
        self._run: Run | None = None
        self._sinks: list[Callable[[str, str], None]] = []

    @property
    def document(self) -> Document:
        document = self.service.store.get(self.region, self.kind, self.name)
        assert document is not None
        return document

    @property
    def folder(self) -> Path:
        return self.service.store.folder(self.region, self.kind, self.name)

    def begin(self) -> None:
        self.service.live.add(self.region, self.kind, self.name, self)
        threading.Thread(target=self._live, name=f"{self.kind} {self.name}", daemon=True).start()

    def _live(self) -> None:
        try:
            self.work()
            self.finish("Completed")
        except Stopped:
            self.finish("Stopped")
        except Failed as failure:
            self.finish("Failed", str(failure))
        except Exception as error:  # the edge of a job's thread: a fault of practice is said as the service's own
            log.exception("%s job %s", self.kind, self.name)
            with suppress(KeyError):
                self.finish("Failed", f"InternalServerError: practice: {type(error).__name__}: {error}")
        finally:
            self._clean()
            self.service.live.remove(self.region, self.kind, self.name)

    def _clean(self) -> None:
        """Hosts' disks go with them, as in the cloud; logs stay."""
        for path in self.folder.glob("*"):
            if path.name != "logs":
                shutil.rmtree(path, ignore_errors=True)

    def work(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        """Ask the job to stop; it is ``Stopping`` when this returns."""
        self.stopping.set()
        if self._run is not None:
            self._run.stop()

    def change(self, **fields: Any) -> None:
        with self.service.store.changing(self.region, self.kind, self.name) as document:
            document.update(fields, LastModifiedTime=now())

    def step(self, secondary: str, message: str) -> None:
        """A step on the way; where the kind has secondary statuses it is recorded there."""
        self.service.event(self.kind, self.name, secondary, message)

    def finish(self, status: str, reason: str = "") -> None:
        self.change(**{f"{self.prefix}Status": status}, **({"FailureReason": reason[:1024]} if reason else {}))
        self.service.event(self.kind, self.name, status, reason)

    def pause(self, seconds: float) -> None:
        """Wait, unless the job is stopped: then Stopped."""
        if self.stopping.wait(seconds):
            raise Stopped

    def pull_image(self, address: str) -> Image:
        """The image of an address; a drill may delay or fail it here."""
        injections = self.service.practice.injections
        if slow := injections.take("slow-start", "aws", self.name):
            self.step("Pending", "waiting for capacity (drill)")
            self.pause(slow.seconds)
        image = self.service.practice.images.find(address)
        if image is None or injections.take("image-pull", "aws", self.name):
            raise Failed(f"ClientError: Failed to pull image {address}: repository or tag not found, or no permission to pull from it")
        return image

    def run(self, group: HostGroup, look: Callable[[Run], None] = lambda run: None, every: float = 0.05) -> Ended:
        """Run hosts to their end; their lines go to CloudWatch. ``look`` is called between ``every`` seconds."""
        streams = self.open_logs(group)
        if self.stopping.is_set():
            raise Stopped
        self._run = self.service.practice.executor.start(group, lambda host, line: self.line(streams[host], line))
        if self.stopping.is_set():  # it came between the look and the start
            self._run.stop()
        next_look = time.monotonic()
        while (ended := self._run.wait(every)) is None:
            if time.monotonic() >= next_look:
                look(self._run)
                next_look = time.monotonic() + every
        if self.service.live.closing:
            raise Failed(STOPPED_WITH_SERVICE)
        return ended

    def open_logs(self, group: HostGroup) -> dict[str, str]:
        at = int(time.time() * 1000)
        streams = {host.name: f"{self.name}/{host.name}-{at}" for host in group.hosts}
        for stream in streams.values():
            self.service.logs.open(self.region, self.log_group, stream)
        self.service.practice.events.note("aws", self.kind, self.name, logs={host.name: host.log for host in group.hosts})
        return streams

    @property
    def log_group(self) -> str:
        return self.service.logs.group(self.kind, self.name)

    def line(self, stream: str, text: str) -> None:
        self.service.logs.put(self.region, self.log_group, stream, text)


def first_kilobyte(path: Path) -> str:
    """What a container left about itself, as the service quotes it."""
    try:
        return path.read_bytes()[:1024].decode(errors="replace").strip()
    except OSError:
        return ""

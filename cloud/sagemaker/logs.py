"""Lines of a job's log streams in CloudWatch, oldest first; of several hosts, each line says whose it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cloud.sagemaker.client import Aws

_PAGE = 10_000  # events that one request may bring
_LATE = 5.0  # seconds that CloudWatch may be behind a job that has just ended


@dataclass
class Tail:
    """What was read of the streams of one job, so that nothing is read twice."""

    aws: Aws
    group: str
    prefix: str  # of the streams' names; of a job this is "<job>/"
    _tokens: dict[str, str] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """What is new."""
        streams = self._streams()
        for stream in streams:
            mark = f"[{stream.removeprefix(self.prefix).rsplit('-', 1)[0]}] " if len(streams) > 1 else ""
            for event in self._events(stream):
                yield f"{mark}{event['message'].rstrip()}\n"

    def _streams(self) -> list[str]:
        found = self.aws.find("describe_log_streams", "logs", logGroupName=self.group, **({"logStreamNamePrefix": self.prefix} if self.prefix else {}))
        return sorted(each["logStreamName"] for each in (found or {}).get("logStreams", ()))

    def _events(self, stream: str) -> Iterator[dict[str, Any]]:
        while True:
            token = {"nextToken": self._tokens[stream]} if stream in self._tokens else {}
            wanted = {"logGroupName": self.group, "logStreamName": stream, "startFromHead": True, "limit": _PAGE, **token}
            page = self.aws.find("get_log_events", "logs", **wanted)
            if page is None:
                return
            yield from page["events"]
            before, self._tokens[stream] = self._tokens.get(stream), page["nextForwardToken"]
            if before == page["nextForwardToken"] or not page["events"]:
                return


def follow(tail: Tail, has_ended: Callable[[], bool], *, poll: float, is_practice: bool) -> Iterator[str]:
    """Until the job has ended and CloudWatch has had time to show its last lines."""
    while not has_ended():
        yield from tail.lines()
        time.sleep(poll)
    yield from tail.lines()
    if not is_practice:
        time.sleep(_LATE)
        yield from tail.lines()

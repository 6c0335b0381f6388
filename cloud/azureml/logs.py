"""Lines of a job's log files, as the run history hands them out; of several nodes, each line says whose it is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cloud.azureml.client import Azure
from cloud.azureml.errors import is_absent, translate

_LOG = re.compile(r"user_logs/std_log(?:_process_(\d+))?(?:_\w+)?\.txt")
_TIMEOUT = 60  # seconds for one file


@dataclass
class Tail:
    """What was read of one job's logs, so that no line is shown twice."""

    azure: Azure
    job: str
    _shown: dict[str, int] = field(default_factory=dict)

    def lines(self, *, whole: bool) -> Iterator[str]:
        """What is new; ``whole``: the last line too, though it may still grow."""
        files = self._files()
        for name, url in sorted(files.items()):
            node = _LOG.fullmatch(name)
            mark = f"[node {node[1]}] " if node and node[1] and len(files) > 1 else ""
            found = self._read(url).splitlines(keepends=True)
            lines = found if whole or not found or found[-1].endswith("\n") else found[:-1]
            yield from (f"{mark}{line.rstrip()}\n" for line in lines[self._shown.get(name, 0) :])
            self._shown[name] = len(lines)

    def _files(self) -> dict[str, str]:
        # The SDK has no public way to a running job's log but printing it.
        details = self.azure.find(f"job {self.job}", lambda client: client.jobs._runs_operations.get_run_details(self.job))
        return {name: url for name, url in ((details.log_files if details else None) or {}).items() if _LOG.fullmatch(name)}

    def _read(self, url: str) -> str:
        """The addresses are of blobs, each with its own signature. A file that is named but not there yet is empty."""
        from azure.core.exceptions import HttpResponseError
        from azure.storage.blob import BlobClient

        with translate(self.azure.where):
            try:
                return bytes(BlobClient.from_blob_url(url).download_blob(read_timeout=_TIMEOUT).readall()).decode("utf-8", "replace")
            except HttpResponseError as error:
                if is_absent(error):
                    return ""
                raise


def follow(tail: Tail, has_ended: Callable[[], bool], *, poll: float) -> Iterator[str]:
    while not has_ended():
        yield from tail.lines(whole=False)
        time.sleep(poll)
    yield from tail.lines(whole=True)

"""Outputs that are made on the container's own disk and brought to the store afterwards, the file whose presence is the commit last.

Where a store is only mounted nothing can be renamed, and Spark itself reads and writes an object store only with Hadoop's jars.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jobs.contracts import storage
from jobs.contracts.bundle import BUNDLE
from jobs.contracts.dataset import MANIFEST
from jobs.contracts.job import OUTPUTS, variable

_COMMITS = (MANIFEST, BUNDLE, "verdict.json")


@dataclass(frozen=True)
class Scratch:
    """``targets``: output -> path or URI in the store."""

    folder: Path
    targets: Mapping[str, str]

    def variables(self) -> dict[str, str]:
        """Where the step writes instead."""
        return {variable("OUTPUT", name): str(self.folder / name) for name in self.targets}

    def publish(self, step_folder: str) -> None:
        """``step_folder``: where the step has said already that it is done; that is taken back when it turns out not to be so.

        Errors: StorageError or InputError when the store does not take it.
        """
        try:
            for name, target in self.targets.items():
                _publish(self.folder / name, target)
        except BaseException:
            storage.remove(storage.join(step_folder, OUTPUTS))
            raise


@contextmanager
def scratch(targets: Mapping[str, str]) -> Iterator[Scratch]:
    with tempfile.TemporaryDirectory(prefix="outputs-", ignore_cleanup_errors=True) as folder:
        yield Scratch(Path(folder), targets)


def _publish(made: Path, target: str) -> None:
    if not made.exists():  # the step found that it was published already, or made nothing
        return
    if storage.is_local(target):
        storage.local_path(target).mkdir(parents=True, exist_ok=True)
    last = next((name for name in _COMMITS if (made / name).exists()), "")
    storage.copy_folder(str(made), target, last=last)

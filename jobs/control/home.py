"""The local store: where datasets, runs, code and the registry lie.

<home>/datasets/<name>/<fingerprint>/   code/<sha256>/   runs/<run>/<step>/   mlflow.db   mlflow/   service.json
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from jobs.contracts import fingerprint
from jobs.contracts.errors import SpecError, from_os_error
from jobs.control.registry_reader import SQLITE

FOLDER = ".seatrial"


@dataclass(frozen=True)
class Home:
    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> Home:
        """``SEATRIAL_HOME``, or the nearest ``.seatrial/`` upward, or a new one in the working directory."""
        if chosen := os.environ.get("SEATRIAL_HOME"):
            return cls(Path(chosen).absolute())
        here = (start or Path.cwd()).absolute()
        found = next((folder / FOLDER for folder in [here, *here.parents] if (folder / FOLDER).is_dir()), here / FOLDER)
        return cls(found)

    @property
    def datasets(self) -> Path:
        return self.root / "datasets"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def tracking_uri(self) -> str:
        """``MLFLOW_TRACKING_URI`` as everywhere else, or the embedded SQLite store."""
        return os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{self.root / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        return self.root / "mlflow"

    @property
    def service(self) -> Path:
        """Describes the service that is up, if one is."""
        return self.root / "service.json"

    def create(self) -> None:
        """Make the folder; it ignores itself in git, because it holds data and logs."""
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
            ignore = self.root / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        except OSError as error:
            raise from_os_error(error, str(self.root)) from error

    def code(self, digest: str) -> Path:
        return self.root / "code" / digest

    def keep_code(self, folder: Path) -> tuple[Path, str]:
        """Copy a job's ``code`` folder under its fingerprint, once; a run is not disturbed by later edits."""
        if not folder.is_dir():
            raise SpecError("the code folder does not exist", where=str(folder), hint="`code` is relative to the job file")
        digest = fingerprint.of_code(folder)
        final = self.code(digest)
        if not final.exists():
            temporary = final.with_name(f".{digest}.{os.getpid()}")
            for source in fingerprint.code_files(folder):
                target = temporary / source.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
            try:
                os.replace(temporary, final)
            except OSError:  # somebody else published the same content first
                shutil.rmtree(temporary, ignore_errors=True)
        return final, digest

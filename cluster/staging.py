"""The store on a volume, from outside: a small pod that mounts it, and a tar stream through ``exec``.

The pod is made at first use, once per process, and removed when the process ends; what survives a killed process ends by
its own time limit. An upload's folder is renamed into place inside the pod, so its presence is the commit.
"""

from __future__ import annotations

import re
import shutil
import tarfile
import time
import uuid
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path

from cluster import pod_side
from cluster.archive import pack, unpack
from cluster.evidence import pod_texts
from cluster.kube_client import Api, Object
from cluster.kube_errors import Absent
from cluster.volume import in_pod
from jobs.contracts import storage
from jobs.contracts.errors import InputError, RunError, SeatrialError, SetupError, StorageError, from_os_error
from jobs.control.plan import Upload
from jobs.control.spec import KubernetesTarget, seconds
from jobs.control.staging import files_of

_HOPELESS = {"ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError"}  # waiting longer would not help
_ADDRESSED = re.compile(r"[0-9a-f]{64}")  # a location that ends in its content's fingerprint never changes
_LOOK = 0.5  # seconds between two looks at a pod that is coming up


class Staging:
    def __init__(self, api: Api, settings: KubernetesTarget, cache: Path) -> None:
        self._api, self._settings, self._cache = api, settings, cache
        self._pod = ""

    def bring(self, upload: Upload) -> bool:
        """Send an upload's files, unless its folder is there. Returns whether anything was sent."""
        if self.exists(upload.target):
            return False
        self._run("receive", upload.target, data=lambda: pack(files_of(upload)))
        return True

    def exists(self, uri: str) -> bool:
        try:
            self._ask("exists", uri)
        except InputError:
            return False
        return True

    def read(self, uri: str) -> bytes:
        """Errors: InputError when it is not there."""
        return self._ask("read", uri)

    def _ask(self, verb: str, uri: str) -> bytes:
        """A small answer. It is asked for twice, the second time of a new pod: a long run outlives the first one."""
        for is_last in (False, True):
            pieces: list[bytes] = []
            try:
                self._run(verb, uri, keep=pieces.append)
                break
            except (RunError, Absent) as error:
                if is_last or isinstance(error, StorageError):
                    raise
                self._pod = ""
        return b"".join(pieces)

    def fetch(self, uri: str) -> str:
        """A local copy of a file or folder; what is addressed by its content is copied once."""
        final = self._cache / in_pod(uri, self._settings.store).lstrip("/")
        if _ADDRESSED.fullmatch(final.name) and final.exists():
            return str(final)
        temporary = final.with_name(f".{final.name}.{uuid.uuid4().hex[:8]}")
        try:
            temporary.mkdir(parents=True)
            with (temporary / "archive").open("wb") as stream:
                self._run("send", uri, keep=stream.write)
            unpack(temporary / "archive", temporary / "new")
            _replace(temporary / "new" / "content", final)
        except tarfile.TarError as error:
            raise StorageError(f"the copy is damaged: {error}", where=uri, hint="run the same command again") from error
        except OSError as error:
            raise from_os_error(error, str(final)) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return str(final)

    def _run(self, verb: str, uri: str, data: Callable[[], Iterable[bytes]] = tuple, keep: Callable[[bytes], object] = bytes) -> None:
        command = ["python", "-c", Path(pod_side.__file__).read_text(), verb, in_pod(uri, self._settings.store)]
        code, said = self._api.run(self._ready(), command, data(), keep)
        if code == pod_side.ABSENT:
            raise InputError("no such file or folder in the target's store", where=uri, hint="check the name, or whether the step that makes it has finished")
        if code != 0:
            hint = "free some space on the volume" if "No space left" in said else "check the volume: `seatrial doctor` looks at its claim"
            raise StorageError(said or f"the staging pod's command ended with exit code {code}", where=uri, hint=hint)

    def _ready(self) -> str:
        """The name of a pod that runs, made now if need be."""
        pod = self._api.get("Pod", self._pod) if self._pod else None
        if pod is None or pod["status"].get("phase") in ("Failed", "Succeeded"):
            self._pod = self._start()
            pod = None
        deadline = time.monotonic() + seconds(self._settings.pending_limit)
        while not _is_ready(pod := pod or self._api.get("Pod", self._pod)):
            if time.monotonic() > deadline or _reasons(pod) & _HOPELESS:
                raise self._not_ready(pod)
            time.sleep(_LOOK)
            pod = None
        return self._pod

    def _start(self) -> str:
        from cluster.rendering import staging_pod

        name = f"seatrial-staging-{uuid.uuid4().hex[:8]}"
        self._api.create(staging_pod(self._settings, name))
        weakref.finalize(self, _remove, self._api, name)
        return name

    def _not_ready(self, pod: Object | None) -> SeatrialError:
        told = "; ".join(pod_texts(pod) if pod else []) or "it was deleted"
        return SetupError(f"the staging pod {self._pod} does not start: {told}", where=self._settings.store, hint="`seatrial doctor` knows such causes")


def _is_ready(pod: Object | None) -> bool:
    status = (pod or {}).get("status") or {}
    return status.get("phase") == "Running" and all(each.get("ready") for each in status.get("containerStatuses") or ())


def _reasons(pod: Object | None) -> set[str]:
    status = (pod or {}).get("status") or {}
    return {str(each.get("state", {}).get("waiting", {}).get("reason", "")) for each in status.get("containerStatuses") or ()}


def _remove(api: Api, name: str) -> None:
    try:
        api.delete("Pod", name)
    except SeatrialError:
        pass  # its own time limit ends it


def _replace(new: Path, final: Path) -> None:
    if final.is_dir():
        shutil.rmtree(final)
    if new.is_dir():
        storage.publish_folder(new, final)
    else:
        new.replace(final)

"""This machine: every step is a child process with its log in a file.

runs/<run>/<step>/job.json  log.txt  process.json (pid)  stopped (on request)  outputs.json (written last)  error.json
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from jobs.contracts import storage
from jobs.contracts.entrypoint import LIFELINE
from jobs.contracts.errors import RequestError, SetupError, from_os_error
from jobs.contracts.job import ERROR, OUTPUTS, Job
from jobs.contracts.states import JobState
from jobs.control import processes
from jobs.control.backend import MODULES, Cause
from jobs.control.home import Home
from jobs.control.plan import Plan, Request, Source
from jobs.control.spec import Kind, Step, Targets, memory_bytes, seconds
from jobs.control.variables import SAIL, engine_of, place_variables

SCHEME = "local://"
JOB, LOG, PROCESS, STOP_ASKED = "job.json", "log.txt", "process.json", "stopped"
_OWN_MEMORY = 1 << 30  # bytes that the interpreter and the engines take before the work begins
_LAST = 4_096  # bytes of a log that are looked at for a cause


def create(home: Home, targets: Targets) -> LocalBackend:
    return LocalBackend(home)


class LocalBackend:
    """``attached``: the steps end with this process, even if it is killed; otherwise they survive it and its terminal."""

    poll = 0.05
    retries = False

    def __init__(self, home: Home, *, attached: bool = False) -> None:
        self._home, self._attached = home, attached
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._lifeline: tuple[int, int] | None = None  # (read end for children, write end held here)

    def plan(self, step: Step, job: Job, inputs: Mapping[str, Source], code: Source, context: Mapping[str, str], attempt: int = 1) -> Plan:
        folder = self.folder(job.run, job.step)
        outputs = {name: self._place(job, folder, name, kind) for name, kind in step.outputs.items()}
        places = {name: source.uri for name, source in inputs.items()}
        variables = place_variables(places, outputs, folder=str(folder), code=code.uri, engine=engine_of(step, SAIL))
        body = {
            "argv": ["python", "-m", MODULES[step.kind], "--job", str(folder / JOB)],
            "env": dict(sorted({**step.env, **context, **variables, **_limits(step), "PYTHONPATH": code.uri}.items())),
            "secrets": dict(sorted(step.secrets.items())),
            "job": job.model_dump(mode="json"),
        }
        return Plan(
            target="local",
            run=job.run,
            step=job.step,
            handle=f"{SCHEME}{job.run}/{job.step}",
            folder=str(folder),
            requests=(Request("process", body),),
            outputs=outputs,
            losses=tuple(_losses(step)),
        )

    def _place(self, job: Job, folder: Path, name: str, kind: str) -> str:
        """Datasets are shared by content between runs; everything else belongs to its run."""
        if kind == "dataset":
            return str(self._home.datasets / job.pipeline / job.fingerprint)
        return str(folder / name)

    def folder(self, run: str, step: str) -> Path:
        return self._home.runs / run / step

    def check(self, plan: Plan) -> list[Cause]:
        return []

    def stage(self, plan: Plan) -> None:
        """Nothing to bring: the steps read where the files are."""

    def submit(self, plan: Plan) -> str:
        folder = self._folder_of(plan.handle)
        if self.status(plan.handle) in (JobState.RUNNING, JobState.SUCCEEDED):
            return plan.handle  # create-if-absent: repeating a submit is harmless
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in (ERROR, PROCESS, STOP_ASKED):  # of an attempt that was interrupted
                (folder / leftover).unlink(missing_ok=True)
            for request in plan.requests:
                self._start(plan.handle, folder, request)
        except OSError as error:
            raise from_os_error(error, str(folder)) from error
        return plan.handle

    def _start(self, handle: str, folder: Path, request: Request) -> None:
        storage.write_bytes(str(folder / JOB), json.dumps(request.body["job"], indent=1).encode())
        argv = [sys.executable, *request.body["argv"][1:]]  # the plan says "python": which one is this machine's matter
        environment = {**os.environ, **request.body["env"], **_secrets(request.body["secrets"])}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [request.body["env"].get("PYTHONPATH"), os.environ.get("PYTHONPATH")]))
        inherited: tuple[int, ...] = ()
        if self._attached:
            inherited = (self._open_lifeline()[0],)
            environment[LIFELINE] = str(inherited[0])
        with (folder / LOG).open("ab") as log:
            # A session of its own: Ctrl-C reaches the driver alone, which then stops its children in order.
            child = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, pass_fds=inherited)
        self._children[handle] = child
        storage.write_bytes(str(folder / PROCESS), json.dumps(processes.identify(child.pid)).encode())

    def _open_lifeline(self) -> tuple[int, int]:
        """A pipe whose write end only this process holds: when it dies, even by SIGKILL, its children see the end."""
        if self._lifeline is None:
            self._lifeline = os.pipe()
        return self._lifeline

    def status(self, handle: str) -> JobState:
        folder = self._folder_of(handle)
        child = self._children.get(handle)
        if child is not None:
            code = child.poll()
            if code is None:
                return JobState.RUNNING
            return JobState.SUCCEEDED if code == 0 else JobState.STOPPED if code in (130, -signal.SIGTERM) else JobState.FAILED
        if (folder / OUTPUTS).exists():
            return JobState.SUCCEEDED
        if _alive(folder):
            return JobState.RUNNING
        if (folder / STOP_ASKED).exists():
            return JobState.STOPPED
        return JobState.FAILED if (folder / ERROR).exists() or (folder / PROCESS).exists() else JobState.UNKNOWN

    def exit_code(self, handle: str) -> int | None:
        """Of a job that was submitted by this process; None while it runs."""
        child = self._children.get(handle)
        return child.poll() if child else None

    def stop(self, handle: str) -> None:
        """SIGTERM, ten seconds, SIGKILL; to the step's whole session. Harmless when nothing runs."""
        folder = self._folder_of(handle)
        pid = _alive(folder)
        if pid:
            storage.write_bytes(str(folder / STOP_ASKED), b"")
            processes.stop_session(pid, self._children.get(handle))

    def logs(self, handle: str, *, follow: bool = False) -> Iterator[str]:
        path = self._folder_of(handle) / LOG
        if not path.exists():
            return
        with path.open(errors="replace") as stream:
            while True:
                ended = self.status(handle).is_final  # before reading, so that nothing written in between is missed
                yield from stream
                if ended or not follow:
                    return
                time.sleep(self.poll)

    def handles(self) -> Iterator[str]:
        for path in sorted(self._home.runs.glob(f"*/*/{JOB}")):
            yield f"{SCHEME}{path.parent.parent.name}/{path.parent.name}"

    def explain(self, handle: str) -> list[Cause]:
        from jobs.control.causes import match

        folder, code = self._folder_of(handle), self.exit_code(handle)
        texts = [f"exit code {code if code >= 0 else 128 - code}"] if code else []
        for name in (ERROR, LOG):
            if (folder / name).exists():
                texts.append((folder / name).read_bytes()[-_LAST:].decode(errors="replace"))
        return match(texts)

    def read(self, uri: str) -> bytes:
        return storage.read_bytes(uri)

    def exists(self, uri: str) -> bool:
        return storage.exists(uri)

    def fetch(self, uri: str) -> str:
        return uri

    def _folder_of(self, handle: str) -> Path:
        run, _, step = handle.removeprefix(SCHEME).partition("/")
        if not handle.startswith(SCHEME) or not run or not step or ".." in (run, step):
            raise RequestError(f"not a handle of the local target: {handle!r}", hint="handles look like local://<run>/<step>")
        return self.folder(run, step)


def _alive(folder: Path) -> int:
    """The step's pid while it runs, else 0."""
    try:
        return processes.running(json.loads((folder / PROCESS).read_bytes()))
    except (OSError, ValueError):
        return 0


def _secrets(names: Mapping[str, str]) -> dict[str, str]:
    """Values of referenced secrets, which on this machine are variables of the shell."""
    if missing := [name for name in names.values() if name not in os.environ]:
        raise SetupError(
            f"the secret {missing[0]!r} is not set", hint=f"export {missing[0]}=… in this shell; on this machine secrets are environment variables"
        )
    return {variable: os.environ[name] for variable, name in names.items()}


def _limits(step: Step) -> dict[str, str]:
    """The step holds itself to these. Workers of a training that joins a run's Ray are not below its process.

    Below a run's driver are Ray and all its steps, each of which holds itself to its own.
    """
    memory = memory_bytes(step.resources.memory) * max(1, step.resources.max_workers) + _OWN_MEMORY
    limits = {} if step.kind == Kind.PIPELINE else {"SEATRIAL_MEMORY_LIMIT": str(memory)}
    return limits | ({"SEATRIAL_TIME_LIMIT": str(seconds(step.time_limit))} if step.time_limit else {})


def _losses(step: Step) -> Iterator[str]:
    if step.spot:
        yield "spot: this machine has no interruptible capacity; the step runs normally"
    if step.resources.accelerator:
        yield "accelerator: the GPU type is whatever this machine has"
    if step.secrets:
        yield "secrets: read from this shell's environment; this machine has no secret store"

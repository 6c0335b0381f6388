"""This machine: every step is a child process with its log in a file.

runs/<run>/<step>/job.json  log.txt  process.json (pid)  outputs.json (written last)  error.json
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from jobs.contracts import storage
from jobs.contracts.entrypoint import LIFELINE
from jobs.contracts.errors import RequestError, SetupError, from_os_error
from jobs.contracts.job import ERROR, OUTPUTS, Job, variable
from jobs.contracts.states import JobState
from jobs.control import processes
from jobs.control.backend import MODULES
from jobs.control.home import Home
from jobs.control.plan import Plan, Request
from jobs.control.spec import Step

SCHEME = "local://"
JOB, LOG, PROCESS = "job.json", "log.txt", "process.json"


def create(home: Home) -> LocalBackend:
    return LocalBackend(home)


class LocalBackend:
    def __init__(self, home: Home) -> None:
        self._home = home
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._lifeline: tuple[int, int] | None = None  # (read end for children, write end held here)

    def plan(self, step: Step, job: Job, inputs: Mapping[str, str], context: Mapping[str, str]) -> Plan:
        folder = self.folder(job.run, job.step)
        outputs = {name: self._place(job, folder, name, kind) for name, kind in step.outputs.items()}
        places = {variable("INPUT", name): uri for name, uri in inputs.items()} | {variable("OUTPUT", name): uri for name, uri in outputs.items()}
        environment = {**step.env, **context, **places, "SEATRIAL_STEP_DIR": str(folder)}
        body = {
            "argv": ["python", "-m", MODULES[step.kind], "--job", str(folder / JOB)],
            "env": dict(sorted(environment.items())),
            "secrets": dict(sorted(step.secrets.items())),
            "job": job.model_dump(mode="json"),
        }
        return Plan(
            target="local",
            run=job.run,
            step=job.step,
            handle=f"{SCHEME}{job.run}/{job.step}",
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

    def submit(self, plan: Plan) -> str:
        folder = self._folder_of(plan.handle)
        if self.status(plan.handle) in (JobState.RUNNING, JobState.SUCCEEDED):
            return plan.handle  # create-if-absent: repeating a submit is harmless
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in (ERROR, PROCESS):  # of an attempt that was interrupted
                (folder / leftover).unlink(missing_ok=True)
            for request in plan.requests:
                self._start(plan.handle, folder, request)
        except OSError as error:
            raise from_os_error(error, str(folder)) from error
        return plan.handle

    def _start(self, handle: str, folder: Path, request: Request) -> None:
        storage.write_bytes(str(folder / JOB), json.dumps(request.body["job"], indent=1).encode())
        read_end, _ = self._open_lifeline()
        argv = [sys.executable, *request.body["argv"][1:]]  # the plan says "python": which one is this machine's matter
        environment = {**os.environ, **request.body["env"], **_secrets(request.body["secrets"]), LIFELINE: str(read_end)}
        with (folder / LOG).open("ab") as log:
            # A session of its own: Ctrl-C reaches the driver alone, which then stops its children in order.
            child = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, pass_fds=(read_end,))
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
        if (folder / ERROR).exists():
            return JobState.FAILED
        return JobState.STOPPED if (folder / PROCESS).exists() else JobState.UNKNOWN

    def exit_code(self, handle: str) -> int | None:
        """Of a job that was submitted by this process; None while it runs."""
        child = self._children.get(handle)
        return child.poll() if child else None

    def stop(self, handle: str) -> None:
        """SIGTERM, ten seconds, SIGKILL; to the step's whole session. Harmless when nothing runs."""
        pid = _alive(self._folder_of(handle))
        if pid:
            processes.stop_session(pid, self._children.get(handle))

    def logs(self, handle: str) -> Iterator[str]:
        path = self._folder_of(handle) / LOG
        if path.exists():
            with path.open(errors="replace") as stream:
                yield from stream

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


def _losses(step: Step) -> Iterator[str]:
    if step.spot:
        yield "spot: this machine has no interruptible capacity; the step runs normally"
    if step.resources.accelerator:
        yield "accelerator: the GPU type is whatever this machine has"
    if step.secrets:
        yield "secrets: read from this shell's environment; this machine has no secret store"

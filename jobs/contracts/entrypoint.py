"""``python -m <room module> --job <path>``: what every step's process does around its own work.

Compares versions first of all, logs to standard error, turns errors into exit codes and ``error.json``, writes
``outputs.json`` last, and ends when the process that started it goes away (the lifeline) or a limit is broken.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable

from jobs.contracts import storage, versions
from jobs.contracts.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, SeatrialError, from_os_error
from jobs.contracts.job import ERROR, OUTPUTS, Context, StepResult, home_of
from jobs.contracts.limits import Limits

LIFELINE = "SEATRIAL_LIFELINE_FD"  # a pipe whose other end the starter holds open; end of file = the starter is gone


def run_step(work: Callable[[Context], StepResult], argv: list[str] | None = None) -> int:
    """Run one step and return its exit code (0 done, 1 failed, 2 wrong request, 130 interrupted)."""
    parser = argparse.ArgumentParser(description=work.__doc__)
    parser.add_argument("--job", required=True, help="path of job.json")
    job_file = parser.parse_args(argv).job
    home = home_of(job_file)
    logging.basicConfig(level=os.environ.get("SEATRIAL_LOG", "INFO"), format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    faulthandler.enable()
    signal.signal(signal.SIGTERM, _interrupt)
    watch_lifeline()
    limits = Limits()
    limits.watch()
    try:
        versions.check()  # before anything else: another version may not even read this job file
        storage.remove(storage.join(home, ERROR))  # of an earlier attempt
        with Context.opened(job_file) as context:
            result = work(context)
        storage.write_bytes(storage.join(home, OUTPUTS), result.model_dump_json(indent=1).encode())
    except KeyboardInterrupt:
        return _failed(home, limits.broken) if limits.broken else EXIT_INTERRUPTED
    except SeatrialError as error:
        return _failed(home, error)
    except OSError as error:
        traceback.print_exc()
        return _failed(home, from_os_error(error, str(error.filename or home)))
    except Exception as error:  # the edge: whatever a workload raises becomes one sentence, and the log keeps the traceback
        traceback.print_exc()
        log = storage.join(home, "log.txt") if storage.is_local(home) else "the job's log"
        _record(home, EXIT_FAILED, what=f"{type(error).__name__}: {error}", hint=f"the traceback is in {log}")
        return EXIT_FAILED
    return EXIT_DONE


def watch_lifeline() -> None:
    """End this process with SIGTERM once the starter's end of the lifeline closes; nothing when there is none."""
    descriptor = os.environ.pop(LIFELINE, "")  # popped, so that grandchildren do not inherit a number that means nothing to them
    if descriptor:
        os.set_inheritable(int(descriptor), False)
        threading.Thread(target=_wait_for_end, args=(int(descriptor),), daemon=True, name="lifeline").start()


def _wait_for_end(descriptor: int) -> None:
    while os.read(descriptor, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _interrupt(signum: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: a second one must not cut the clean-up short
    raise KeyboardInterrupt


def _failed(home: str, error: SeatrialError) -> int:
    print(error, file=sys.stderr)
    _record(home, error.exit_code, what=error.what, where=error.where, hint=error.hint)
    return error.exit_code


def _record(home: str, exit_code: int, **error: str) -> None:
    try:
        storage.write_bytes(storage.join(home, ERROR), json.dumps({**error, "exit_code": exit_code}, indent=1).encode())
    except SeatrialError as second:  # a full disk must not hide the first error
        print(second, file=sys.stderr)

"""The one place that starts programs. Argument lists, never a shell; a failure is an error that says which command and why.

Nothing secret is ever an argument, so commands may be shown whole.
"""

from __future__ import annotations

import codecs
import logging
import queue
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from typing import IO, cast

from jobs.contracts.errors import RunError, SetupError

log = logging.getLogger(__name__)

Say = Callable[[str], None]
_SHOWN = 12  # last lines of a failed command that are shown


@dataclass(frozen=True)
class Done:
    """A command that has ended, however."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        return self.code == 0

    def error(self, hint: str = "") -> RunError:
        """What it said, as an error; the doctor's words where its table knows them."""
        from jobs.control.causes import match

        told = [line for line in (self.err.strip() or self.out.strip()).splitlines() if line.strip()][-_SHOWN:]
        causes = match(told)
        said = causes[0].what + "\n" if causes else ""
        return RunError(
            f"{said}exit code {self.code}: " + "\n  ".join(told or ["it said nothing"]),
            where=shlex.join(self.argv),
            hint=hint or (causes[0].hint if causes else "mend what it names and run the same command again: finished stages are kept"),
        )


class Runner:
    def attempt(self, *argv: str, data: str = "") -> Done:
        """Run to the end; a failure is a value.

        Errors: SetupError when the program is not there.
        """
        log.info("%s", shlex.join(argv))
        try:
            ended = subprocess.run(argv, input=data, capture_output=True, text=True, errors="replace", check=False)
        except FileNotFoundError as error:
            raise _absent(argv[0]) from error
        return Done(argv, ended.returncode, ended.stdout, ended.stderr)

    def ask(self, *argv: str, data: str = "", hint: str = "") -> str:
        """Its standard output.

        Errors: RunError when it fails.
        """
        done = self.attempt(*argv, data=data)
        if not done.ok:
            raise done.error(hint)
        return done.out

    def follow(self, *argv: str, say: Say, hint: str = "") -> None:
        """For what takes minutes: each line that it prints goes to ``say`` as it comes.

        Errors: RunError when it fails.
        """
        log.info("%s", shlex.join(argv))
        lines: list[str] = []
        try:
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        except FileNotFoundError as error:
            raise _absent(argv[0]) from error
        assert child.stdout is not None
        try:
            for line in child.stdout:
                if line.strip():
                    lines.append(line.rstrip())
                    say(line.strip())
            code = child.wait()
        finally:
            _end(child)
            child.stdout.close()
        if code != 0:
            raise Done(argv, code, "\n".join(lines), "").error(hint)

    def watch(self, *argv: str, into: queue.Queue[Told], name: str) -> Stream:
        """Start what prints without end; its output arrives in the queue piece by piece."""
        log.info("%s", shlex.join(argv))
        try:
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except FileNotFoundError as error:
            raise _absent(argv[0]) from error
        return Stream(child, argv, into, name)


@dataclass(frozen=True)
class Told:
    """A piece of a stream's output; ``end`` when there will be no more."""

    name: str
    piece: str = ""
    end: Done | None = None


class Stream:
    """A program that runs in the background until it ends or is closed."""

    def __init__(self, child: subprocess.Popen[bytes], argv: tuple[str, ...], into: queue.Queue[Told], name: str) -> None:
        self._child, self._argv, self._into, self._name = child, argv, into, name
        self._reader = threading.Thread(target=self._read, name=f"watch {name}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        out, err = self._child.stdout, self._child.stderr
        assert out is not None
        assert err is not None
        complaints: list[bytes] = []
        # Read beside it, or a full pipe would stop the program.
        aside = threading.Thread(target=lambda: complaints.append(err.read()), daemon=True)
        aside.start()
        for piece in _pieces(out):
            self._into.put(Told(self._name, piece))
        aside.join()
        self._into.put(Told(self._name, end=Done(self._argv, self._child.wait(), "", b"".join(complaints).decode(errors="replace"))))

    def close(self) -> None:
        _end(self._child)
        self._reader.join()
        for pipe in (self._child.stdout, self._child.stderr):
            if pipe is not None:
                pipe.close()


def _pieces(stream: IO[bytes]) -> Iterator[str]:
    """What is there now, at once, without cutting a character in two."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while data := cast(BufferedReader, stream).read1(1 << 16):
        yield decoder.decode(data)


def _end(child: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    if child.poll() is None:
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(5)
    if child.poll() is None:
        child.kill()
        child.wait()


def _absent(program: str) -> SetupError:
    from cluster.bringup.tools import install_hint

    return SetupError(f"{program} is not installed", hint=install_hint(program))

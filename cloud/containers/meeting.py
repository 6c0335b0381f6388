"""How the hosts of a job find each other: notes in the step's folder, which all of them and nobody else can read.

The head writes the address of its Ray, the token that Ray asks for, and a number for this meeting; every other host, once it has
joined, a note of its own with that number. Notes of an earlier attempt (a spot host that was taken) name an address where nobody
listens, or another number.
"""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass
from typing import Any

from jobs.contracts import storage
from jobs.contracts.errors import InputError, SeatrialError

FOLDER = "hosts"  # below the step's folder


@dataclass(frozen=True)
class Invitation:
    address: str  # host:port of the head's Ray
    token: str
    number: str

    def is_open(self) -> bool:
        """Whether somebody listens at the address."""
        host, _, port = self.address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=2).close()
        except OSError:
            return False
        return True


class Meeting:
    def __init__(self, step_folder: str) -> None:
        self._folder = storage.join(step_folder, FOLDER)

    def clear(self, *names: str) -> None:
        for name in names:
            storage.remove(self._place(name))

    def invite(self, head: str, invitation: Invitation) -> None:
        storage.write_bytes(self._place(head), json.dumps(asdict(invitation)).encode())

    def invitation(self, head: str) -> Invitation | None:
        note = self._read(head)
        return Invitation(**note) if note else None

    def join(self, name: str, number: str) -> None:
        storage.write_bytes(self._place(name), json.dumps({"number": number}).encode())

    def has_joined(self, name: str, number: str) -> bool:
        return self._read(name).get("number") == number

    def _place(self, name: str) -> str:
        return storage.join(self._folder, f"{name}.json")

    def _read(self, name: str) -> dict[str, Any]:
        """Empty while there is none: the store may also be away for a moment, and the next look tries again."""
        try:
            return dict(json.loads(storage.read_bytes(self._place(name))))
        except (InputError, ValueError, TypeError):
            return {}
        except SeatrialError as error:
            print(error, flush=True)
            return {}

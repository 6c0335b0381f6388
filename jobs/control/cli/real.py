"""What ``--real`` shares between commands: the account is named before anything is sent to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from jobs.control.backend import Backend


def tell_place(backend: Backend, *, real: bool) -> None:
    """Errors: RequestError for a real account without ``--real``."""
    from jobs.control import consent

    consent.require(backend, real=real)
    if place := consent.real_place(backend):
        click.echo(f"real: {place}", err=True)

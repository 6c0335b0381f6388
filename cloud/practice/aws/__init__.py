"""Amazon SageMaker, and the parts of AWS that jobs touch, on one loopback port.

:func:`create` gives the WSGI application; :func:`resume` goes on with what was up before a restart; :func:`close` lets nothing be failed
by the service's own end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloud.practice.aws.assembly import Aws
    from cloud.practice.aws.front import Front
    from cloud.practice.settings import Practice

_opened: dict[int, Aws] = {}


def create(practice: Practice) -> Front:
    from cloud.practice.aws.assembly import Aws

    aws = _opened[id(practice)] = Aws(practice)
    return aws.front


def resume(practice: Practice) -> None:
    _opened[id(practice)].resume()


def close(practice: Practice) -> None:
    _opened.pop(id(practice)).close()

"""Azure Machine Learning on loopback: one workspace over TLS that really runs what is submitted to it."""

from __future__ import annotations

from typing import Any

from cloud.practice.settings import Practice

_services: dict[int, Any] = {}  # id of a Practice -> its Service: the server holds both for its whole life


def create(practice: Practice) -> Any:
    """The ASGI application; serve it with :func:`cloud.practice.azure.authority.ensure`'s certificate."""
    from cloud.practice.azure.app import application
    from cloud.practice.azure.service import Service

    service = _services[id(practice)] = Service.open(practice)
    return application(service)


def resume(practice: Practice) -> None:
    """Start the endpoints that were up; fail the jobs that ran when the service went away."""
    _services[id(practice)].resume()


def close(practice: Practice) -> None:
    if service := _services.pop(id(practice), None):
        service.close()

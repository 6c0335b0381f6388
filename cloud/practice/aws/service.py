"""What every SageMaker operation is given, and how one is declared.

An operation is a method marked with :func:`operation`: it takes a :class:`Call` and returns what the service answers. Names are
taken, listed and looked up here, so that each resource's file has only what is its own.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloud.practice.aws import errors
from cloud.practice.aws.store import Document, Store, shown
from cloud.practice.settings import ACCOUNT, Practice

if TYPE_CHECKING:
    from cloud.practice.aws.live import Live
    from cloud.practice.aws.logs import Logs
    from cloud.practice.aws.objects import Objects

Handler = Callable[["Call"], Document]
_PAGE = 10  # MaxResults when the request names none: most operations' default
_MARK = "_operation"


@dataclass(frozen=True)
class Call:
    """One request: ``params`` as sent, ``region`` from the signature."""

    action: str
    params: Document
    region: str

    def get(self, name: str, default: Any = None) -> Any:
        return self.params.get(name, default)

    def __getitem__(self, name: str) -> Any:
        return self.params[name]


@dataclass(frozen=True)
class Service:
    practice: Practice
    store: Store
    objects: Objects
    logs: Logs
    live: Live

    def arn(self, region: str, kind: str, name: str) -> str:
        return f"arn:aws:sagemaker:{region}:{ACCOUNT}:{kind}/{name}"

    def has_arn(self, region: str, arn: str) -> bool:
        """Whether anything has this ARN."""
        return any(arn == value for document in self.store.in_region(region) for key, value in document.items() if key.endswith("Arn"))

    def event(self, kind: str, name: str, status: str, message: str = "") -> None:
        self.practice.events.state("aws", kind, name, status, message)


def operation(name: str) -> Callable[[Any], Any]:
    """Mark a method as the handler of an operation."""

    def mark(method: Any) -> Any:
        setattr(method, _MARK, name)
        return method

    return mark


def operations(*resources: object) -> dict[str, Handler]:
    """Operation -> handler, of all resources."""
    found: dict[str, Handler] = {}
    for resource in resources:
        for name in dir(resource):
            method = getattr(resource, name)
            if callable(method) and hasattr(method, _MARK):
                found[getattr(method, _MARK)] = method
    return found


def now() -> float:
    return round(time.time(), 3)


def listing(call: Call, documents: list[Document], *, key: str, summary: Callable[[Document], Document], name: str, status: str = "") -> Document:
    """A page of a List operation: filters by name, time and status, sorts, cuts; ``name`` and ``status`` are the documents' own keys."""
    chosen = [document for document in documents if _wanted(call, document, name, status)]
    order = {"Name": name, "Status": status, "CreationTime": "CreationTime"}.get(call.get("SortBy", "CreationTime"), "CreationTime")
    descending = call.get("SortOrder", "Descending") == "Descending"
    chosen.sort(key=lambda document: (document.get(order, 0), document["_name"]), reverse=descending)
    start = _from_token(call.get("NextToken"))
    size = call.get("MaxResults", _PAGE)
    answer: Document = {key: [shown(summary(document)) for document in chosen[start : start + size]]}
    if start + size < len(chosen):
        answer["NextToken"] = base64.b64encode(str(start + size).encode()).decode()
    return answer


def _wanted(call: Call, document: Document, name: str, status: str) -> bool:
    created, modified = document.get("CreationTime", 0), document.get("LastModifiedTime", document.get("CreationTime", 0))
    return (
        call.get("NameContains", "").lower() in str(document.get(name, "")).lower()
        and call.get("StatusEquals", document.get(status)) == document.get(status)
        and created >= call.get("CreationTimeAfter", 0)
        and created <= call.get("CreationTimeBefore", created)
        and modified >= call.get("LastModifiedTimeAfter", 0)
        and modified <= call.get("LastModifiedTimeBefore", modified)
    )


def _from_token(token: str | None) -> int:
    try:
        return int(base64.b64decode(token)) if token else 0
    except ValueError:
        raise errors.validation("Invalid NextToken") from None

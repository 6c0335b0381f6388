"""Search over training jobs, model packages, groups and endpoints, by their fields and tags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloud.practice.aws import errors
from cloud.practice.aws.service import Call, Service, listing, operation
from cloud.practice.aws.store import Document, shown
from cloud.practice.aws.tags import KIND as TAGS
from cloud.practice.aws.tags import Tags

_RESOURCES = {
    "TrainingJob": ("training", "TrainingJobArn"),
    "ModelPackage": ("model-package", "ModelPackageArn"),
    "ModelPackageGroup": ("model-package-group", "ModelPackageGroupArn"),
    "Endpoint": ("endpoint", "EndpointArn"),
    "HyperParameterTuningJob": ("tuning", "HyperParameterTuningJobArn"),
    "Model": ("model", "ModelArn"),
}
_WRAPPED = {"Model": lambda document: {"Model": document}}
_TESTS: dict[str, Callable[[Any, str], bool]] = {
    "Equals": lambda held, wanted: str(held) == wanted,
    "NotEquals": lambda held, wanted: str(held) != wanted,
    "Contains": lambda held, wanted: wanted in str(held),
    "GreaterThan": lambda held, wanted: float(held) > float(wanted),
    "GreaterThanOrEqualTo": lambda held, wanted: float(held) >= float(wanted),
    "LessThan": lambda held, wanted: float(held) < float(wanted),
    "LessThanOrEqualTo": lambda held, wanted: float(held) <= float(wanted),
    "In": lambda held, wanted: str(held) in wanted.split(","),
}


class Search:
    def __init__(self, service: Service, tags: Tags) -> None:
        self._service, self._tags = service, tags

    @operation("Search")
    def search(self, call: Call) -> Document:
        if call["Resource"] not in _RESOURCES:
            raise errors.validation(f"Resource {call['Resource']}: practice searches {', '.join(_RESOURCES)}")
        kind, arn = _RESOURCES[call["Resource"]]
        documents = [self._tagged(call.region, document, arn) for document in self._service.store.all(call.region, kind)]
        chosen = [document for document in documents if _fits(document, call.get("SearchExpression", {}))]
        wrap = call["Resource"]
        return listing(call, chosen, key="Results", summary=lambda each: {wrap: _WRAPPED.get(wrap, dict)(shown(each))}, name="_name")

    def _tagged(self, region: str, document: Document, arn: str) -> Document:
        tags = (self._service.store.get(region, TAGS, document[arn]) or {}).get("Tags", [])
        return {**document, "Tags": tags}


def _fits(document: Document, expression: Document) -> bool:
    if expression.get("NestedFilters"):
        raise errors.validation("NestedFilters: practice searches by Filters and SubExpressions")
    found = [_holds(document, each) for each in expression.get("Filters", [])]
    found += [_fits(document, each) for each in expression.get("SubExpressions", [])]
    return (any(found) if expression.get("Operator") == "Or" else all(found)) if found else True


def _holds(document: Document, condition: Document) -> bool:
    held = _value(document, condition["Name"])
    kind = condition.get("Operator", "Equals")
    if kind in ("Exists", "NotExists"):
        return (held is not None) == (kind == "Exists")
    if held is None:
        return kind == "NotEquals"
    try:
        return _TESTS[kind](held, condition.get("Value", ""))
    except ValueError:
        raise errors.validation(f"Value of filter {condition['Name']} must be a number") from None


def _value(document: Document, path: str) -> Any:
    if path.startswith("Tags."):
        return next((tag["Value"] for tag in document["Tags"] if tag["Key"] == path.removeprefix("Tags.")), None)
    if path.startswith("Metrics."):
        return next((each["Value"] for each in document.get("FinalMetricDataList", []) if each["MetricName"] == path.removeprefix("Metrics.")), None)
    held: Any = document
    for part in path.split("."):
        held = held.get(part) if isinstance(held, dict) else None
    return held

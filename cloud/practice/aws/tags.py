"""Tags of everything that has an ARN."""

from __future__ import annotations

from typing import Any

from cloud.practice.aws import errors
from cloud.practice.aws.service import Call, Service, operation
from cloud.practice.aws.store import Document

KIND = "tags"
_MOST = 50


class Tags:
    def __init__(self, service: Service) -> None:
        self._service = service

    def put(self, region: str, arn: str, tags: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Add tags to what is there; all of them."""
        document = self._service.store.get(region, KIND, arn) or {}
        held = {tag["Key"]: tag["Value"] for tag in document.get("Tags", [])} | {tag["Key"]: tag["Value"] for tag in tags}
        if len(held) > _MOST:
            raise errors.validation(f"The number of tags exceeds the limit of {_MOST}")
        every = [{"Key": key, "Value": value} for key, value in held.items()]
        if every or document:
            self._service.store.put(region, KIND, arn, {"Tags": every})
        return every

    @operation("AddTags")
    def add(self, call: Call) -> Document:
        self._check(call)
        return {"Tags": self.put(call.region, call["ResourceArn"], call["Tags"])}

    @operation("ListTags")
    def list(self, call: Call) -> Document:
        self._check(call)
        return {"Tags": (self._service.store.get(call.region, KIND, call["ResourceArn"]) or {}).get("Tags", [])}

    @operation("DeleteTags")
    def delete(self, call: Call) -> Document:
        self._check(call)
        left = [tag for tag in self.list(call)["Tags"] if tag["Key"] not in call["TagKeys"]]
        self._service.store.put(call.region, KIND, call["ResourceArn"], {"Tags": left})
        return {}

    def _check(self, call: Call) -> None:
        if not self._service.has_arn(call.region, call["ResourceArn"]):
            raise errors.validation(f"Could not find resource with ARN {call['ResourceArn']}")

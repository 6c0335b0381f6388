"""What processing, transform and tuning jobs have alike: name taken, described, stopped, listed, failed by a restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloud.practice.aws import errors
from cloud.practice.aws.jobs import STOPPED_WITH_SERVICE, JobRun
from cloud.practice.aws.service import Call, Service, listing, now
from cloud.practice.aws.store import Document, shown
from cloud.practice.aws.tags import Tags


class SimpleJobs:
    """``kind`` of the store, ``prefix`` of the keys (``ProcessingJob``), ``resource`` of the ARN."""

    kind = ""
    prefix = ""
    resource = ""
    run: Callable[[Service, str, str], JobRun]

    def __init__(self, service: Service, tags: Tags) -> None:
        self._service, self._tags = service, tags

    def _record(self, call: Call, **more: Any) -> Document:
        """Take the name and record the job; it is not begun yet."""
        name = call[f"{self.prefix}Name"]
        arn = self._service.arn(call.region, self.resource, name)
        if self._service.store.get(call.region, self.kind, name):
            raise errors.in_use(f"Job name must be unique within an AWS account and region, and a job with this name already exists ({arn})")
        created = now()
        document = {key: value for key, value in call.params.items() if key != "Tags"}
        document |= {f"{self.prefix}Arn": arn, "CreationTime": created, "LastModifiedTime": created, f"{self.prefix}Status": "InProgress", **more}
        self._service.store.put(call.region, self.kind, name, document)
        self._tags.put(call.region, arn, call.get("Tags", []))
        self._service.practice.events.begin("aws", self.kind, name, call.params)
        self._service.event(self.kind, name, "InProgress")
        return document

    def find(self, region: str, name: str) -> Document:
        document = self._service.store.get(region, self.kind, name)
        if document is None:
            raise errors.validation(f"Could not find requested job with name: {name}")
        return document

    def _describe(self, call: Call) -> Document:
        return shown(self.find(call.region, call[f"{self.prefix}Name"]))

    def _stop(self, call: Call) -> Document:
        name = call[f"{self.prefix}Name"]
        document = self.find(call.region, name)
        status = document[f"{self.prefix}Status"]
        if status not in ("InProgress", "Stopping"):
            raise errors.validation(f"The request was rejected because the job is in status {status}.")
        running = self._service.live.get(call.region, self.kind, name)
        if running is not None and status == "InProgress":
            with self._service.store.changing(call.region, self.kind, name) as changed:
                if changed[f"{self.prefix}Status"] == "InProgress":
                    changed[f"{self.prefix}Status"] = "Stopping"
            self._service.event(self.kind, name, "Stopping")
            running.stop()
        return {}

    def _delete(self, call: Call) -> Document:
        name = call[f"{self.prefix}Name"]
        document = self.find(call.region, name)
        if document[f"{self.prefix}Status"] in ("InProgress", "Stopping"):
            raise errors.in_use(f"Job {name} is in status {document[f'{self.prefix}Status']}; stop it first")
        self._service.store.remove(call.region, self.kind, name)
        return {}

    def _list(self, call: Call, key: str, summary: Callable[[Document], Document]) -> Document:
        documents = self._service.store.all(call.region, self.kind)
        return listing(call, documents, key=key, summary=summary, name=f"{self.prefix}Name", status=f"{self.prefix}Status")

    def resume(self) -> None:
        """After a restart: what ran is failed."""
        for document in self._service.store.everywhere(self.kind):
            if document[f"{self.prefix}Status"] in ("InProgress", "Stopping"):
                type(self).run(self._service, document["_region"], document["_name"]).finish("Failed", STOPPED_WITH_SERVICE)

"""Addresses of Azure Resource Manager: ``/subscriptions/S/resourceGroups/G/providers/P/workspaces/W/<kind>/<name>/...``.

Compared without regard to case, as Azure does; answered in the case in which Azure writes them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cloud.practice.azure.faults import Fault
from cloud.practice.settings import GROUP, SUBSCRIPTION, WORKSPACE

PROVIDER = "Microsoft.MachineLearningServices"
WORKSPACE_ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/{PROVIDER}/workspaces/{WORKSPACE}"
KINDS = ("codes", "components", "computes", "data", "datastores", "deployments", "environments", "jobs", "models", "onlineEndpoints", "versions")
_CASE = {kind.lower(): kind for kind in KINDS}
_SCOPE = re.compile(rf"/subscriptions/([^/]+)/resourcegroups/([^/]+)/providers/{re.escape(PROVIDER)}/workspaces/([^/]+)(/.*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Address:
    """``parts``: kind, name, kind, name, ...; an odd number is a collection, or a resource with ``action``."""

    parts: tuple[str, ...]

    @property
    def kind(self) -> str:
        """Of the last collection, with what it is in: ``models/versions``."""
        return "/".join(self.parts[::2])

    @property
    def name(self) -> str:
        return self.parts[-1] if len(self.parts) % 2 == 0 else ""

    @property
    def id(self) -> str:
        return "/".join((WORKSPACE_ID, *self.parts))

    @property
    def key(self) -> str:
        return "/".join(self.parts).lower()

    @property
    def type(self) -> str:
        return f"{PROVIDER}/workspaces/{self.kind}"

    @property
    def parent(self) -> Address:
        return Address(self.parts[:-1])

    @property
    def is_collection(self) -> bool:
        return len(self.parts) % 2 == 1


def address(*parts: str) -> Address:
    """A name may come as ``azureml:name``: azure-ai-ml asks so for ``azureml:name@latest``."""
    return Address(tuple(_CASE.get(part.lower(), part) if index % 2 == 0 else part.removeprefix("azureml:") for index, part in enumerate(parts)))


def parse(path: str) -> Address:
    """The address below the practice workspace; its parts may end in an action.

    Errors: Fault 404 for another subscription, group or workspace.
    """
    found = _SCOPE.fullmatch(path.rstrip("/"))
    if not found:
        raise Fault(404, "InvalidResourceNamespace", f"The resource namespace in '{path}' is invalid.")
    subscription, group, workspace, rest = found.groups()
    if subscription.lower() != SUBSCRIPTION:
        raise Fault(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")
    if group.lower() != GROUP:
        raise Fault(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")
    if workspace.lower() != WORKSPACE:
        resource = f"{PROVIDER}/workspaces/{workspace}"
        raise Fault(404, "ResourceNotFound", f"The Resource '{resource}' under resource group '{group}' was not found.")
    return address(*(rest or "").strip("/").split("/")) if rest else Address(())


def reference(text: str) -> Address | None:
    """What a body refers to: a whole resource id, with or without ``azureml:`` before it, or ``azureml:<name>:<version>`` (None)."""
    text = text.removeprefix("azureml:")
    found = _SCOPE.fullmatch(text.rstrip("/"))
    return address(*found.group(4).strip("/").split("/")) if found and found.group(4) else None

"""Managed online endpoints: their deployments, traffic, keys, and scoring."""

from __future__ import annotations

import logging
import random
import re
import secrets
import threading
from pathlib import Path
from typing import Any

from cloud.practice.azure import seeds
from cloud.practice.azure.addresses import Address, address
from cloud.practice.azure.assets import properties_of
from cloud.practice.azure.checks import check_name, mapping
from cloud.practice.azure.deployments import Deployment, DeploymentFailed, Reply
from cloud.practice.azure.documents import Document, Documents
from cloud.practice.azure.durations import seconds
from cloud.practice.azure.faults import Fault, bad_request, not_found
from cloud.practice.azure.places import Places
from cloud.practice.settings import Practice

log = logging.getLogger(__name__)
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]")
_AUTH = ("Key", "AMLToken", "AADToken")
_TIMEOUT = "PT5S"  # of a scoring request, the service's default


class Endpoints:
    """Errors of every method: Fault, as the service would answer."""

    def __init__(self, practice: Practice, documents: Documents, places: Places, root: Path) -> None:
        self._practice, self._documents, self._places, self._root = practice, documents, places, root
        self._live: dict[str, Deployment] = {}  # by the deployment's key
        self._lock = threading.RLock()

    def put(self, at: Address, body: Document) -> Document:
        return self._put_endpoint(at, body) if len(at.parts) == 2 else self._put_deployment(at, body)

    def _put_endpoint(self, at: Address, body: Document) -> Document:
        given = properties_of(body)
        if not _NAME.fullmatch(at.name):
            raise bad_request(
                f"Endpoint name '{at.name}' is invalid: 3 to 32 letters, digits and '-', starting with a letter and not ending in '-'.", target="name"
            )
        if given.get("authMode", "Key") not in _AUTH:
            raise bad_request(f"The authMode '{given.get('authMode')}' is unknown; there are {', '.join(_AUTH)}.", target="authMode")
        traffic = self._traffic(at, mapping(given, "traffic"))
        self._drill(at.name)
        old = self._documents.get(at)
        keys = (old or {}).get("keys") or {"primaryKey": secrets.token_urlsafe(24), "secondaryKey": secrets.token_urlsafe(24)}
        url = f"{self._practice.azure_url}/endpoints/{at.name}"
        facts = {**given, "traffic": traffic, "mirrorTraffic": mapping(given, "mirrorTraffic"), "provisioningState": "Succeeded"}
        facts |= {
            "scoringUri": f"{url}/score",
            "swaggerUri": f"{url}/swagger.json",
            "publicNetworkAccess": "Enabled",
            "properties": given.get("properties") or {},
        }
        if old is None:
            self._practice.events.begin("azure", "endpoint", at.name, body)
        stored = self._documents.put(
            at, facts, location=body.get("location") or seeds.LOCATION, tags=body.get("tags") or {}, identity=_identity(body), kind="Managed", keys=keys
        )
        self._practice.events.state("azure", "endpoint", at.name, "Succeeded", f"traffic {traffic}" if traffic else "")
        return stored

    def _traffic(self, at: Address, given: dict[str, Any]) -> dict[str, int]:
        for name, share in given.items():
            if self._documents.get(address(*at.parts, "deployments", name)) is None:
                raise bad_request(f"Traffic names the deployment '{name}', which endpoint '{at.name}' does not have.", target="traffic")
            if not isinstance(share, int) or not 0 <= share <= 100:
                raise bad_request(f"The traffic of '{name}' must be a whole number from 0 to 100, and is {share}.", target="traffic")
        if sum(given.values()) not in (0, 100):
            raise bad_request(f"The traffic must add up to 0 or 100 percent, and adds up to {sum(given.values())}.", target="traffic")
        return given

    def _put_deployment(self, at: Address, body: Document) -> Document:
        given = properties_of(body)
        check_name(at.name, "Deployment")
        endpoint = address(*at.parts[:2])
        if self._documents.get(endpoint) is None:
            raise not_found(f"Online endpoint '{endpoint.name}' was not found.")
        if not given.get("environmentId") or self._places.asset(given["environmentId"], "environments") is None:
            raise bad_request(
                "A deployment needs an environment of this workspace (MLflow models without one cannot be practised).",
                inner="EnvironmentNotFound",
                target="environmentId",
            )
        if reference := given.get("model"):
            self._places.asset(reference, "models")
        count = (body.get("sku") or {}).get("capacity", 1)
        if not isinstance(count, int) or count < 1:
            raise bad_request(f"The number of instances must be at least 1, and is {count}.", target="sku.capacity")
        if not given.get("instanceType"):
            raise bad_request("The instanceType field is required.", target="instanceType")
        self._drill(at.name)
        if self._practice.injections.take("quota", "azure", at.name):
            raise Fault(409, "OutOfQuota", f"Not enough quota available for {given['instanceType']} in subscription.")
        image_pull = bool(self._practice.injections.take("image-pull", "azure", at.name))
        slow = self._practice.injections.take("slow-start", "azure", at.name)
        facts = {"scaleSettings": {"scaleType": "Default"}, "requestSettings": {"requestTimeout": _TIMEOUT}, "endpointComputeType": "Managed", "properties": {}}
        facts |= {key: value for key, value in given.items() if value is not None} | {"provisioningState": "Creating"}
        self._practice.events.begin("azure", "deployment", "/".join(at.parts[1::2]), body)
        more = {"location": body.get("location") or seeds.LOCATION, "tags": body.get("tags") or {}, "kind": "Managed"}
        stored = self._documents.put(at, facts, **more, sku={"name": "Default", "capacity": count})
        threading.Thread(
            target=self._bring_up, args=(at, facts, image_pull, slow.seconds if slow else 0), name=f"azure deployment {at.name}", daemon=True
        ).start()
        return stored

    def _drill(self, name: str) -> None:
        if self._practice.injections.take("access-denied", "azure", name):
            raise Fault(
                403,
                "AuthorizationFailed",
                "The client 'practice' does not have authorization to perform action 'Microsoft.MachineLearningServices/workspaces/onlineEndpoints/write'.",
            )

    def _bring_up(self, at: Address, properties: Document, image_pull: bool = False, wait: float = 0) -> None:
        """A new container beside the old one, which goes when the new one is ready: as an update does on the service."""
        self._state(at, "Creating")
        threading.Event().wait(wait)
        made: Deployment | None = None
        try:
            made = Deployment(self._practice, self._places, self._root, at.parts[1], f"{at.name}-{secrets.token_hex(3)}", properties)
            if image_pull:
                raise DeploymentFailed("ImagePullFailure", "Failed to pull the container image of the deployment.")
            self._documents.change(at, lambda old: old.update(log=str(made.log)))
            made.start()
            self._practice.events.note("azure", "deployment", "/".join(at.parts[1::2]), logs={"instance-0": made.log})
            made.wait_ready()
        except Exception as error:  # the edge: the thread's end must be the operation's end
            if not isinstance(error, DeploymentFailed):
                log.exception("deployment %s", at.id)
            if made:
                made.kill()
            failure = {"code": getattr(error, "code", "InternalServerError"), "message": str(error)}
            self._documents.change(at, lambda old: old.update(provisioningState="Failed", error=failure))
            self._state(at, "Failed", str(error))
            return
        with self._lock:
            old = self._live.pop(at.key, None)
            self._live[at.key] = made
        if old:
            old.stop()
        self._documents.change(at, lambda properties: properties.update(provisioningState="Succeeded", error=None))
        self._state(at, "Succeeded")

    def _state(self, at: Address, status: str, message: str = "") -> None:
        self._practice.events.state("azure", "deployment", "/".join(at.parts[1::2]), status, message)

    def get(self, at: Address) -> Document:
        body = self._documents.get(at)
        if body is None:
            raise not_found(f"{'Online endpoint' if len(at.parts) == 2 else 'Deployment'} '{at.name}' was not found.")
        return {key: value for key, value in body.items() if key != "keys"}

    def delete(self, at: Address) -> None:
        """Nothing for one that is not there.

        Errors: Fault for a deployment that has traffic.
        """
        endpoint = self._documents.get(address(*at.parts[:2]))
        if len(at.parts) == 4 and endpoint and mapping(endpoint["properties"], "traffic").get(at.name):
            raise bad_request(f"Cannot delete deployment '{at.name}': it receives traffic. Set its traffic to 0 first.", inner="DeploymentHasTraffic")
        below = self._documents.list(Address((*at.parts, "deployments"))) if len(at.parts) == 2 else []
        self._documents.delete(at)
        with self._lock:
            gone = [self._live.pop(key) for key in list(self._live) if key == at.key or key.startswith(f"{at.key}/")]
        for live in gone:
            live.stop()
        for each in below:
            self._state(Address((*at.parts, "deployments", each["name"])), "Deleted")
        kind = "endpoint" if len(at.parts) == 2 else "deployment"
        if endpoint:
            self._practice.events.state("azure", kind, "/".join(at.parts[1::2]), "Deleted")

    def keys(self, at: Address) -> Document:
        body = self._documents.get(at)
        if body is None:
            raise not_found(f"Online endpoint '{at.name}' was not found.")
        return dict(body["keys"])

    def regenerate(self, at: Address, which: str) -> None:
        body = self._documents.get(at)
        if body is None:
            raise not_found(f"Online endpoint '{at.name}' was not found.")
        keys = {**body["keys"], f"{which.lower()}Key": secrets.token_urlsafe(24)}
        more = {key: body[key] for key in ("location", "tags", "identity", "kind")}
        self._documents.put(at, body["properties"], **more, keys=keys)

    def logs(self, at: Address, lines: int) -> str:
        path = Path(self.get(at)["properties"].get("log") or "/nonexistent")
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def score(self, name: str, authorization: str, chosen: str, headers: dict[str, str], body: bytes) -> tuple[str, Reply]:
        """The deployment that answered, and its answer."""
        at = address("onlineEndpoints", name)
        endpoint = self._documents.get(at)
        if endpoint is None:
            raise Fault(404, "NotFound", f"Endpoint {name} was not found.")
        if authorization.removeprefix("Bearer ") not in (*endpoint["keys"].values(), f"token-{endpoint['keys']['primaryKey']}"):
            raise Fault(401, "Unauthorized", "The key or token of the request is missing or wrong.")
        deployment = chosen or _pick(mapping(endpoint["properties"], "traffic"))
        if not deployment:
            raise Fault(404, "NotFound", f"No deployment of endpoint {name} receives traffic.")
        where = address(*at.parts, "deployments", deployment)
        stored, live = self._documents.get(where), self._live.get(where.key)
        if stored is None:
            raise Fault(404, "NotFound", f"Specified deployment {deployment} could not be found.")
        if live is None or not live.is_alive:
            raise Fault(503, "ServiceUnavailable", f"Deployment {deployment} has no instance that is ready.")
        limit = mapping(stored["properties"], "requestSettings").get("requestTimeout") or _TIMEOUT
        return deployment, live.score(body, headers, seconds(limit))

    def resume(self) -> None:
        """Start again what was up when the service ended."""
        for endpoint in self._documents.list(address("onlineEndpoints")):
            for body in self._documents.list(address("onlineEndpoints", endpoint["name"], "deployments")):
                if body["properties"]["provisioningState"] != "Failed":
                    at = address("onlineEndpoints", endpoint["name"], "deployments", body["name"])
                    self._documents.change(at, lambda properties: properties.update(provisioningState="Updating"))
                    threading.Thread(target=self._bring_up, args=(at, body["properties"]), daemon=True).start()

    def close(self) -> None:
        with self._lock:
            for each in self._live.values():
                each.kill()


def _pick(traffic: dict[str, int]) -> str:
    """A deployment, at random by its share."""
    shares = {name: share for name, share in traffic.items() if share}
    return random.choices(list(shares), list(shares.values()))[0] if shares else ""  # noqa: S311 # no secret


def _identity(body: Document) -> Document:
    return dict(body.get("identity") or {"type": "SystemAssigned"})

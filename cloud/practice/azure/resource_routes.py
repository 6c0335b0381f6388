"""Resource Manager's verbs on what is below the workspace: which part of the service answers which kind.

The API version of a request is not looked at: the clients send a dozen, and the documents are the same.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from starlette.responses import JSONResponse, Response

from cloud.practice.azure import seeds
from cloud.practice.azure.addresses import WORKSPACE_ID, Address
from cloud.practice.azure.assets import COLLECTIONS, properties_of, refuse_deletion
from cloud.practice.azure.blobs import BlobError
from cloud.practice.azure.checks import check_name, mapping
from cloud.practice.azure.documents import Document
from cloud.practice.azure.faults import Fault, bad_content, bad_request, not_found, not_implemented
from cloud.practice.azure.jobs import FINAL
from cloud.practice.azure.service import Service
from cloud.practice.settings import WORKSPACE

Query = dict[str, str]
_PAGE = 100


class Resources:
    def __init__(self, service: Service) -> None:
        self._service = service

    def answer(self, method: str, at: Address, query: Query, body: bytes, base: str) -> Response:
        """Errors: Fault, whatever is wrong."""
        if not at.parts:
            if method == "GET":
                return JSONResponse(seeds.workspace(self._service.practice))
            raise not_implemented(f"{method} of a workspace")
        kind = at.parts[0]
        if kind == "operationsStatus" and method == "GET":
            return self._operation(at, base)
        if kind == "jobs":
            return self._jobs(method, at, query, body, base)
        if kind in COLLECTIONS:
            return self._assets(method, at, query, body, base)
        if kind == "onlineEndpoints":
            return self._endpoints(method, at, query, body, base)
        if kind in ("datastores", "computes"):
            return self._plain(method, at, query, body, base)
        raise not_implemented(f"{method} {'/'.join(at.parts)}")

    def _jobs(self, method: str, at: Address, query: Query, body: bytes, base: str) -> Response:
        jobs = self._service.jobs
        match method, at.parts[1:]:
            case "GET", ():
                return _page([each for each in self._service.documents.list(at) if _wanted(each, query)], query, base, at)
            case "PUT", (name,):
                check_name(name, "Job")
                return JSONResponse(jobs.put(name, properties_of(parsed(body))), 201)
            case "GET", (name,):
                return JSONResponse(self._found(at, f"Run {name} was not found"))
            case "POST", (name, "cancel"):
                jobs.cancel(name)
                return Response(status_code=202, headers={"Location": f"{base}{WORKSPACE_ID}/operationsStatus/job:{name}?kind=location", "Retry-After": "0"})
            case "DELETE", (name,):
                job = self._found(at, f"Run {name} was not found")
                if job["properties"]["status"] not in FINAL:
                    raise bad_request(f"Job {name} is {job['properties']['status']}: cancel it before it is deleted.", inner="JobNotFinal")
                self._service.documents.delete(at)
                return Response(status_code=204)
        raise not_implemented(f"{method} {'/'.join(at.parts)}")

    def _found(self, at: Address, message: str) -> Document:
        body = self._service.documents.get(at)
        if body is None:
            raise not_found(message)
        return body

    def _assets(self, method: str, at: Address, query: Query, body: bytes, base: str) -> Response:
        assets = self._service.assets
        match method, at.parts[1:]:
            case "GET", () | (_, "versions"):
                return _page(assets.list(at, query), query, base, at)
            case "GET", (_,) | (_, "versions", _):
                return JSONResponse(assets.get(at))
            case "PUT" | "PATCH", (name,) | (name, "versions", _):
                throttled = self._service.practice.injections.take("access-denied", "azure", name)
                if throttled:
                    raise Fault(403, "AuthorizationFailed", f"The client 'practice' does not have authorization to perform action '{at.type}/write'.")
                return JSONResponse(assets.put(at, parsed(body)), 201)
            case "POST", (_, "versions", _, "startPendingUpload"):
                return JSONResponse(assets.pending_upload(Address(at.parts[:-1])))
            case "DELETE", _:
                raise refuse_deletion(at)
        raise not_implemented(f"{method} {'/'.join(at.parts)}")

    def _endpoints(self, method: str, at: Address, query: Query, body: bytes, base: str) -> Response:  # noqa: PLR0911 # one line a route
        endpoints = self._service.endpoints
        match method, at.parts[1:]:
            case "GET", () | (_, "deployments"):
                shown = [endpoints.get(Address((*at.parts, each["name"]))) for each in self._service.documents.list(at)]
                return _page(shown, query, base, at)
            case "GET", (_,) | (_, "deployments", _):
                return JSONResponse(endpoints.get(at))
            case "PUT", (_,) | (_, "deployments", _):
                stored = endpoints.put(at, parsed(body))
                operation = f"{base}{WORKSPACE_ID}/operationsStatus/{':'.join(at.parts)}"
                headers = {"Azure-AsyncOperation": operation, "Retry-After": "0"}
                return JSONResponse({key: value for key, value in stored.items() if key != "keys"}, 201, headers)
            case "DELETE", (_,) | (_, "deployments", _):
                endpoints.delete(at)
                return Response(status_code=200)
            case "POST", (_, "listKeys"):
                return JSONResponse(endpoints.keys(Address(at.parts[:-1])))
            case "POST", (_, "token"):
                key = endpoints.keys(Address(at.parts[:-1]))["primaryKey"]
                return JSONResponse({"accessToken": f"token-{key}", "expiryTimeUtc": 4070908800, "refreshAfterTimeUtc": 4070908800, "tokenType": "Bearer"})
            case "POST", (_, "regenerateKeys"):
                endpoints.regenerate(Address(at.parts[:-1]), str(parsed(body).get("keyType", "Primary")))
                return Response(status_code=200)
            case "POST", (_, "deployments", _, "getLogs"):
                return JSONResponse({"content": endpoints.logs(Address(at.parts[:-1]), int(parsed(body).get("tail") or 50))})
        raise not_implemented(f"{method} {'/'.join(at.parts)}")

    def _plain(self, method: str, at: Address, query: Query, body: bytes, base: str) -> Response:
        match method, at.parts[1:]:
            case "GET", ():
                found = self._service.documents.list(at)
                return _page([each for each in found if query.get("isDefault") != "true" or each["properties"].get("isDefault")], query, base, at)
            case "GET", (name,):
                what = "datastore" if at.parts[0] == "datastores" else "Compute"
                return JSONResponse(self._found(at, f"Could not find {what}: {name}"))
            case "PUT", (_,):
                return JSONResponse(self._put_plain(at, parsed(body)), 201)
            case "DELETE", (_,):
                self._service.documents.delete(at)
                return Response(status_code=200)
            case "POST", (_, "listSecrets"):
                return JSONResponse({"secretsType": "Sas", "sasToken": seeds.SAS})
        raise not_implemented(f"{method} {'/'.join(at.parts)}")

    def _put_plain(self, at: Address, body: Document) -> Document:
        given = properties_of(body)
        check_name(at.name, "Compute" if at.parts[0] == "computes" else "Datastore")
        if at.parts[0] == "computes":
            if given.get("computeType") != "AmlCompute":
                raise not_implemented(f"computes of type {given.get('computeType')}")
            inside = mapping(given, "properties")
            scale = mapping(inside, "scaleSettings")
            if not inside.get("vmSize"):
                raise bad_request("The vmSize field is required.", target="vmSize")
            if not 0 <= int(scale.get("minNodeCount") or 0) <= int(scale.get("maxNodeCount") or 0):
                raise bad_request("maxNodeCount must not be below minNodeCount.", target="scaleSettings")
            made = seeds.cluster(inside.get("vmPriority") or "Dedicated", inside["vmSize"], int(scale["maxNodeCount"]))
            made["properties"]["scaleSettings"] |= {"minNodeCount": int(scale.get("minNodeCount") or 0)}
            return self._service.documents.put(at, made, location=body.get("location") or seeds.LOCATION, tags=body.get("tags") or {})
        if given.get("datastoreType") != "AzureBlob":
            raise not_implemented(f"data stores of type {given.get('datastoreType')}")
        if given.get("accountName") not in (seeds.account(self._service.practice), WORKSPACE):
            raise bad_request(f"The practice workspace reaches one storage account, '{WORKSPACE}'.", inner="StorageAccountNotFound", target="accountName")
        container = str(given.get("containerName") or "")
        try:
            if not self._service.blobs.has_container(container):
                self._service.blobs.create_container(container)
        except (BlobError, OSError) as error:
            raise bad_request(f"Container '{container}' cannot be used.", target="containerName") from error
        facts = {**given, "accountName": seeds.account(self._service.practice), "credentials": {"credentialsType": "AccountKey"}, "isDefault": False}
        return self._service.documents.put(at, facts)

    def _operation(self, at: Address, base: str) -> Response:
        """How far a long operation is; its name is the address of what it makes."""
        kind, *rest = at.parts[1].split(":")
        if kind == "job":
            done = self._service.jobs.wait(rest[0], 0)["properties"]["status"] in FINAL
            return Response(status_code=200) if done else Response(status_code=202, headers={"Location": f"{base}{at.id}?kind=location", "Retry-After": "0"})
        body = self._service.documents.get(Address((kind, *rest)))
        properties: dict[str, Any] = body["properties"] if body else {"provisioningState": "Failed"}
        state = properties.get("provisioningState", "Succeeded")
        status = state if state in ("Succeeded", "Failed") else "InProgress"
        answer = {"id": f"{WORKSPACE_ID}/operationsStatus/{at.name}", "name": str(uuid.uuid5(uuid.NAMESPACE_URL, at.key)), "status": status}
        if status == "Failed":
            answer["error"] = {"details": [], **(properties.get("error") or {"code": "NotFound", "message": "it was deleted"})}  # type: ignore[assignment]
        return JSONResponse(answer, headers={"Retry-After": "0"})


def parsed(body: bytes) -> Document:
    try:
        value = json.loads(body or b"{}")
    except ValueError as error:
        raise bad_content(f"The request content was invalid and could not be deserialized: '{error}'.") from error
    if not isinstance(value, dict):
        raise bad_content("The request content was invalid: the body must be a JSON object.")
    return value


def _wanted(body: Document, query: Query) -> bool:
    properties = body["properties"]
    if query.get("jobType") and properties["jobType"].lower() != query["jobType"].lower():
        return False
    if (tag := query.get("tag")) and tag.partition("=")[0] not in properties["tags"]:
        return False
    view = query.get("listViewType", "ActiveOnly")
    return properties.get("parentJobName") is None and (view == "All" or bool(properties["isArchived"]) == (view == "ArchivedOnly"))


def _page(found: list[Document], query: Query, base: str, at: Address) -> Response:
    skip = int(query.get("$skip") or query.get("$skiptoken") or 0)
    size = int(query.get("$top") or _PAGE)
    answer: dict[str, Any] = {"value": found[skip : skip + size]}
    if len(found) > skip + size and "$top" not in query:
        rest = "".join(f"&{key}={value}" for key, value in query.items() if key not in ("$skip", "$skiptoken"))
        answer["nextLink"] = f"{base}{at.id}?$skip={skip + size}{rest}"
    return JSONResponse(answer)

"""Versioned assets: code, environments, data, models, components. A version does not change once it is there; its tags may."""

from __future__ import annotations

from typing import Any

from cloud.practice.azure import seeds
from cloud.practice.azure.addresses import Address, address
from cloud.practice.azure.blobs import DATA
from cloud.practice.azure.checks import check_name, mapping
from cloud.practice.azure.documents import Document, Documents
from cloud.practice.azure.faults import Fault, bad_content, bad_request, conflict, not_found
from cloud.practice.azure.places import Places
from cloud.practice.settings import Practice

COLLECTIONS = ("codes", "components", "data", "environments", "models")
_IMMUTABLE = ("codeUri", "dataUri", "modelUri", "image", "condaFile", "componentSpec", "dataType", "modelType")
_PLACES = ("codeUri", "dataUri", "modelUri")
_DATA_TYPES = ("uri_file", "uri_folder", "mltable")
_MODEL_TYPES = ("custom_model", "mlflow_model", "triton_model")


class Assets:
    """Errors of every method: Fault, as the service would answer."""

    def __init__(self, practice: Practice, documents: Documents, places: Places) -> None:
        self._practice, self._documents, self._places = practice, documents, places

    def put(self, at: Address, body: Document) -> Document:
        properties = properties_of(body)
        if len(at.parts) == 2:
            return self._documents.put(at, {"isArchived": False, **(self._stored(at) or {}), **properties})
        check_name(at.parts[1], "Asset")
        check_name(at.name, "Version")
        properties |= {field: self._places.settled(properties[field]) for field in _PLACES if isinstance(properties.get(field), str)}
        old = self._stored(at)
        if old is None:
            properties = self._checked(at.parts[0], properties)
        else:
            changed = [field for field in _IMMUTABLE if field in properties and properties[field] is not None and properties[field] != old.get(field)]
            if changed:
                raise conflict(
                    f"Version {at.name} of {at.parts[1]} exists and its {', '.join(changed)} cannot be changed. Register another version.",
                    inner="VersionExists",
                )
            properties = {**old, **{key: value for key, value in properties.items() if value is not None}}
        self._container(at)
        return self._documents.put(at, properties)

    def _stored(self, at: Address) -> Document | None:
        body = self._documents.get(at)
        return body["properties"] if body else None

    def _container(self, at: Address) -> None:
        """What the name of an asset knows of its versions."""
        parent = address(*at.parts[:2])
        numbers = [int(each["name"]) for each in self._documents.list(at.parent) if each["name"].isdigit()]
        following = max([*numbers, int(at.name) if at.name.isdigit() else 0]) + 1
        facts = {"tags": {}, "properties": {}, "isArchived": False, **(self._stored(parent) or {})}
        self._documents.put(parent, {**facts, "latestVersion": at.name, "nextVersion": str(following), "nextVersionId": str(following)})

    def _checked(self, kind: str, properties: Document) -> Document:
        shared = {"isArchived": False, "isAnonymous": False, "tags": {}, "properties": {}, "provisioningState": "Succeeded"}
        properties = {**shared, **{key: value for key, value in properties.items() if value is not None}}
        match kind:
            case "environments":
                if not any(properties.get(field) for field in ("image", "build", "condaFile")):
                    raise bad_request("An environment needs an image, a build context or a conda file.", target="image")
                return {"osType": "Linux", "environmentType": "UserCreated", **properties}
            case "data":
                _one_of(properties, "dataType", _DATA_TYPES)
                self._there(properties, "dataUri")
            case "models":
                properties.setdefault("modelType", "custom_model")
                _one_of(properties, "modelType", _MODEL_TYPES)
                self._there(properties, "modelUri")
                properties.setdefault("flavors", {})
            case "codes":
                self._there(properties, "codeUri")
            case "components":
                if not mapping(properties, "componentSpec").get("type"):
                    raise bad_request("The componentSpec field is required, with a type.", target="componentSpec")
        return properties

    def _there(self, properties: Document, field: str) -> None:
        uri = properties.get(field)
        if not uri:
            raise bad_request(f"The {field} field is required.", target=field)
        if not self._places.find(uri).exists:
            raise bad_request(f"The path '{uri}' of {field} does not exist.", inner="PathNotFound", target=field)

    def get(self, at: Address) -> Document:
        body = self._documents.get(at)
        if body is None:
            missing = "version" if len(at.parts) == 4 else "container"
            raise not_found(f"Could not find asset {missing} with ID: {at.id}")
        return body

    def list(self, at: Address, query: dict[str, str]) -> list[Document]:
        found = self._documents.list(at)
        if wanted := query.get("hash"):
            found = [each for each in found if each["properties"].get("properties", {}).get("hash_sha256") == wanted]
        if query.get("listViewType", "ActiveOnly") == "ActiveOnly":
            found = [each for each in found if not each["properties"].get("isArchived")]
        return found

    def pending_upload(self, at: Address) -> dict[str, Any]:
        """Where a client may put the bytes of an asset that it is about to create."""
        uri = f"{seeds.blob_url(self._practice, DATA)}/{at.parts[0]}-{at.parts[1]}-{at.name}"
        reference = {"blobUri": uri, "storageAccountArmId": "", "credential": {"credentialType": "SAS", "sasUri": f"{uri}?{seeds.SAS}"}}
        return {"blobReferenceForConsumption": reference, "pendingUploadId": f"{at.parts[1]}-{at.name}", "pendingUploadType": "TemporaryBlobReference"}


def properties_of(body: Any) -> Document:
    if not isinstance(body, dict) or not isinstance(body.get("properties"), dict):
        raise bad_content("The request content was invalid: the body must be a JSON object with 'properties'.")
    return dict(body["properties"])


def _one_of(properties: Document, field: str, allowed: tuple[str, ...]) -> None:
    if properties.get(field) not in allowed:
        raise bad_request(f"The {field} '{properties.get(field)}' is unknown; there are {', '.join(allowed)}.", target=field)


def refuse_deletion(at: Address) -> Fault:
    return Fault(405, "MethodNotAllowed", f"{at.type} cannot be deleted; it can be archived.")

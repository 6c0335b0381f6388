"""From what a request calls a place (``azureml://`` paths, assets, blob addresses) to a folder or file here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cloud.practice.azure import addresses
from cloud.practice.azure.addresses import WORKSPACE_ID, Address, address
from cloud.practice.azure.blobs import STORES, BlobError, Blobs
from cloud.practice.azure.documents import Document, Documents
from cloud.practice.azure.faults import bad_request, not_found
from cloud.practice.settings import WORKSPACE

_DATASTORE = re.compile(r"azureml://(?:subscriptions/[^/]+/resource[gG]roups/[^/]+/(?:providers/[^/]+/)?workspaces/[^/]+/)?datastores/([^/]+)/paths/(.*)")
_JOB_OUTPUT = re.compile(r"azureml://jobs/([^/]+)/outputs/(?:artifacts/paths/(.*)|([^/]+)(?:/paths/(.*))?)")
_SHORT = re.compile(r"azureml:([^:/@]+)(?::([^:/]+)|@latest)")
ARTIFACT_ROOT = "ExperimentRun/dcid."  # + the job's name: where its artefacts lie


@dataclass(frozen=True)
class Place:
    container: str
    name: str
    path: Path

    @property
    def exists(self) -> bool:
        return self.path.exists()


class Places:
    def __init__(self, blobs: Blobs, documents: Documents) -> None:
        self._blobs, self._documents = blobs, documents

    def find(self, uri: str, kind: str = "data") -> Place:
        """``kind``: the collection of assets that a reference without one means.

        Errors: Fault for a data store, container or asset that is not there, and for a place that is not on this machine.
        """
        if found := _DATASTORE.fullmatch(uri):
            return self._in_datastore(*found.groups())
        if found := _JOB_OUTPUT.fullmatch(uri):
            job, artifact, output, rest = found.groups()
            if output is None:
                return self._place("azureml", f"{ARTIFACT_ROOT}{job}/{artifact}")
            return self.find(f"{self._output(job, output).rstrip('/')}/{rest or ''}")
        if uri.startswith("https://127.0.0.1:") and ".blob." in uri:
            container, _, name = unquote(urlsplit(uri).path).lstrip("/").partition("/")[2].partition("/")
            return self._place(container, name)
        if asset := self.asset(uri, kind):
            return self.find(location(asset))
        raise bad_request(
            f"The practice workspace cannot reach '{uri}'. Give a path of a data store, an asset, or a local file that the client uploads.",
            inner="DataAccessError",
        )

    def settled(self, uri: str) -> str:
        """A job's output as the data store's path that it is: what the service stores of an asset made from one."""
        if not _JOB_OUTPUT.fullmatch(uri):
            return uri
        place = self.find(uri)
        store = next(name for name, container in STORES.items() if container == place.container)
        return f"azureml://{WORKSPACE_ID.split('/providers/')[0].lstrip('/')}/workspaces/{WORKSPACE}/datastores/{store}/paths/{place.name}"

    def asset(self, reference: str, kind: str) -> Document | None:
        """The version that an id, ``azureml:name:version`` or ``azureml:name@latest`` means; None if the text is no reference."""
        at = addresses.reference(reference)
        if at is None:
            short = _SHORT.fullmatch(reference)
            if not short:
                return None
            at = address(kind, short[1], "versions", short[2]) if short[2] else self._latest(kind, short[1])
        elif at.parts[-2:-1] == ("labels",):
            at = self._latest(at.parts[0], at.parts[1])
        body = self._documents.get(at)
        if body is None:
            raise not_found(f"Could not find asset with ID: {reference}")
        return body

    def _latest(self, kind: str, name: str) -> Address:
        versions = self._documents.list(address(kind, name, "versions"))
        if not versions:
            raise not_found(f"Container with name: {name} was not found.")
        return address(kind, name, "versions", versions[0]["name"])

    def _in_datastore(self, name: str, path: str) -> Place:
        store = self._documents.get(address("datastores", name))
        if store is None:
            raise bad_request(f"Could not find datastore: {name}", inner="DatastoreNotFound")
        return self._place(store["properties"]["containerName"], path)

    def _output(self, job: str, output: str) -> str:
        body = self._documents.get(address("jobs", job))
        found = ((body or {}).get("properties", {}).get("outputs") or {}).get(output)
        if not found:
            raise not_found(f"Job '{job}' has no output '{output}'.")
        return str(found["uri"])

    def _place(self, container: str, name: str) -> Place:
        try:
            return Place(container, name, self._blobs.path(container, name))
        except BlobError as error:
            raise bad_request(f"Cannot use '{name}' of container '{container}': {error}", inner="DataAccessError") from error


def location(asset: dict[str, Any]) -> str:
    """Where an asset's bytes lie, by the kind of asset."""
    properties = asset["properties"]
    return str(properties.get("dataUri") or properties.get("modelUri") or properties.get("codeUri") or "")

"""The blob store, asked by azure-storage-blob as it is."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import requests
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContainerClient

from cloud.practice.azure import seeds
from tests.cloud.practice.azure.workspace import Workspace


@pytest.fixture(scope="module")
def container(workspace: Workspace) -> Iterator[ContainerClient]:
    url = seeds.blob_url(workspace.practice, "azureml-blobstore-practice")
    with ContainerClient.from_container_url(
        f"{url}?{seeds.SAS}", connection_verify=str(workspace.bundle), max_single_put_size=1 << 20, max_block_size=1 << 20, retry_total=0
    ) as client:
        yield client


def test_small_and_large_blobs_come_back_whole(container: ContainerClient, workspace: Workspace) -> None:
    for size in (0, 10, (5 << 20) + 3):
        content = os.urandom(size)
        container.upload_blob(f"b/{size}", content, overwrite=True, max_concurrency=3)
        assert container.download_blob(f"b/{size}", max_concurrency=3).readall() == content
        assert workspace.blob(f"b/{size}").read_bytes() == content


def test_ranges(container: ContainerClient) -> None:
    container.upload_blob("range", b"0123456789", overwrite=True)
    assert container.download_blob("range", offset=3, length=4).readall() == b"3456"
    with pytest.raises(HttpResponseError) as caught:
        container.download_blob("range", offset=50, length=1).readall()
    assert caught.value.status_code == 416


def test_listings_by_prefix_folder_and_page(container: ContainerClient) -> None:
    for name in ("l/a", "l/b/1", "l/b/2", "l/c & d"):
        container.upload_blob(name, name.encode(), overwrite=True)
    assert [each.name for each in container.list_blobs("l/")] == ["l/a", "l/b/1", "l/b/2", "l/c & d"]
    assert sorted(each.name for each in container.walk_blobs("l/")) == ["l/a", "l/b/", "l/c & d"]
    assert [len(list(page)) for page in container.list_blobs("l/", results_per_page=3).by_page()] == [3, 1]


def test_metadata_stays_with_the_blob(container: ContainerClient) -> None:
    blob = container.upload_blob("described", b"x", metadata={"a": "1"}, overwrite=True)
    blob.set_blob_metadata({"name": "n"})
    assert blob.get_blob_properties().metadata == {"name": "n"}
    assert next(iter(container.list_blobs("described", include=["metadata"]))).metadata == {"name": "n"}


def test_what_is_not_there_and_what_is_there_already(container: ContainerClient) -> None:
    assert not container.get_blob_client("none").exists()
    with pytest.raises(ResourceNotFoundError):
        container.download_blob("none")
    container.upload_blob("once", b"1", overwrite=True)
    with pytest.raises(ResourceExistsError):
        container.upload_blob("once", b"2")
    container.delete_blob("once")
    assert not container.get_blob_client("once").exists()


def test_no_signature_no_blob_and_no_way_out(workspace: Workspace) -> None:
    url = seeds.blob_url(workspace.practice, "azureml-blobstore-practice")
    assert requests.get(f"{url}/x", verify=str(workspace.bundle), timeout=10).status_code == 401
    signed = requests.get(f"{url}/%2e%2e/documents.db?{seeds.SAS}", verify=str(workspace.bundle), timeout=10)
    assert signed.status_code in (400, 404)
    assert (
        requests.get(f"{seeds.blob_url(workspace.practice, 'none')}/x?{seeds.SAS}", verify=str(workspace.bundle), timeout=10).headers["x-ms-error-code"]
        == "ContainerNotFound"
    )

"""The store on a volume: ``pvc://<claim>/<folder>/…`` for everybody outside, ``/seatrial/store/…`` for the pods that mount it."""

from __future__ import annotations

from cluster.rendering.places import CLAIM_SCHEME, STORE
from jobs.contracts.errors import RequestError


def is_on_volume(uri: str) -> bool:
    return uri.startswith(CLAIM_SCHEME)


def in_pod(uri: str, store: str) -> str:
    """What a pod calls this location: the store's own folder is the root of the mount. Other stores have one name everywhere.

    Errors: RequestError for a location on a volume that is not below the store.
    """
    if not is_on_volume(uri):
        return uri
    root = store.rstrip("/")
    if not f"{uri.rstrip('/')}/".startswith(f"{root}/") or ".." in uri.split("/"):
        raise RequestError("this location is not in the target's store", where=uri, hint=f"pods see only what lies below {store}")
    return f"{STORE}{uri.rstrip('/').removeprefix(root)}"

"""``plan --check``: what a cluster says before anything is sent. Nothing is changed: creations are dry runs on the server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from cluster.kube_client import Api
from jobs.contracts import versions
from jobs.contracts.errors import SeatrialError
from jobs.control.backend import Cause
from jobs.control.plan import Plan
from jobs.control.spec import Images

VERSIONS = "seatrial-versions"  # the chart's ConfigMap: what its images hold
_RAY_API = "ray.io/v1"


def findings(api: Api, plan: Plan, images: Images) -> list[Cause]:
    """Why this plan would not run, first things first: what cannot be reached hides what lies behind it."""
    try:
        api.version()
        if not api.has_namespace():
            return [Cause("namespace", f"there is no namespace {api.namespace!r}", "install the chart there, or set targets.kubernetes.namespace")]
        return [*_operator(api, plan), *_skew(api, plan, images), *_dry_runs(api, plan)]
    except SeatrialError as error:
        return causes_of(error)


def causes_of(error: SeatrialError) -> list[Cause]:
    """The doctor's words for an error if it knows any, else the error's own."""
    from jobs.control.causes import match

    return match([error.what]) or [Cause("refused", error.what, error.hint, error.where)]


def _operator(api: Api, plan: Plan) -> list[Cause]:
    from jobs.control.causes import match

    return match([f'no matches for kind "RayJob" in version "{_RAY_API}"']) if _is_ray(plan) and not api.serves(_RAY_API) else []


def _is_ray(plan: Plan) -> bool:
    return plan.requests[-1].kind == "RayJob"


def _dry_runs(api: Api, plan: Plan) -> Iterator[Cause]:
    for request in plan.requests:
        if request.kind == "RayJob" and not api.serves(_RAY_API):
            continue  # said already
        try:
            api.create(dict(request.body), dry_run=True)
        except SeatrialError as error:
            yield from causes_of(error)


def _skew(api: Api, plan: Plan, images: Images) -> Iterator[Cause]:
    """Versions of the images that this plan uses against this machine's; without the chart's ConfigMap there is nothing to compare."""
    from jobs.control.skew import compare

    published = (api.get("ConfigMap", VERSIONS) or {}).get("data") or {}
    used = _images_of(dict(plan.requests[-1].body))
    for key, image in {"ray-image": images.ray, "spark-image": images.spark}.items():
        if image in used and key in published:
            yield from compare(versions.installed(), _parsed(published[key]), there_name=f"the cluster's image {image}")


def _parsed(text: str) -> dict[str, str]:
    try:
        return {str(name): str(version) for name, version in json.loads(text).items()}
    except (ValueError, AttributeError):
        return {}


def _images_of(body: Any) -> set[str]:
    """Every ``image`` in an object, however deep."""
    if isinstance(body, dict):
        found = {str(body["image"])} if isinstance(body.get("image"), str) else set()
        return found.union(*map(_images_of, body.values()))
    return set().union(*map(_images_of, body)) if isinstance(body, list | tuple) else set()

"""The two images: built when absent, brought to the nodes, and what they hold told to the chart."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from cluster.bringup.runner import Runner, Say
from cluster.bringup.settings import OPERATOR_IMAGE, Settings, project_version
from jobs.contracts.errors import SetupError

LABEL = "io.seatrial.versions"
_GPU_TORCH = "cu128"  # the build of torch for --gpu, unless TORCH_BACKEND names another


def is_here(runner: Runner, image: str) -> bool:
    return runner.attempt("docker", "image", "inspect", "--format", "{{.Id}}", image).ok


def build(runner: Runner, settings: Settings, say: Say) -> str:
    """Build what Docker lacks; ``settings.rebuild`` builds both.

    Errors: SetupError for an image that is absent and that ``make images`` would not build.
    """
    ours = {settings.images.ray: "image-ray", settings.images.spark: "image-spark"}
    absent = [image for image in ours if settings.rebuild or not is_here(runner, image)]
    if not absent:
        return "both are built"
    version = project_version(settings.checkout)
    for image in absent:
        if image not in (f"seatrial-ray:{version}", f"seatrial-spark:{version}"):
            raise SetupError(f"Docker has no image {image}", hint=f"docker pull {image}; or leave out --image-ray and --image-spark, to build them")
    backend = [f"TORCH_BACKEND={os.environ.get('TORCH_BACKEND') or _GPU_TORCH}"] if settings.gpu else []
    runner.follow("make", "--directory", str(settings.checkout), *(ours[image] for image in absent), *backend, say=say)
    return f"built {', '.join(absent)}"


def wanted_on_nodes(runner: Runner, settings: Settings) -> Sequence[str]:
    """The operator's own is pulled by the nodes, unless Docker happens to have it: then no network is needed."""
    operator = [OPERATOR_IMAGE] if is_here(runner, OPERATOR_IMAGE) else []
    return [settings.images.ray, settings.images.spark, *operator]


def versions(runner: Runner, image: str) -> dict[str, str]:
    """What is inside, as the image's label says; empty for an image without one."""
    done = runner.attempt("docker", "image", "inspect", "--format", f'{{{{ index .Config.Labels "{LABEL}" }}}}', image)
    try:
        found = json.loads(done.out)
        return {str(name): str(version) for name, version in found.items()} if done.ok else {}
    except (ValueError, AttributeError):
        return {}

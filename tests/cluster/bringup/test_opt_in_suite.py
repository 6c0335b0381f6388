"""`make test-cluster` cannot run without a cluster; its frame can, on the scripted programs, so that it does not rot unseen."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.cluster.bringup.conftest import IMAGES, Machine
from tests.conftest import REPOSITORY

WITHOUT_NODES = "test_up_ends_with_a_cluster_that_works or test_up_again_changes_nothing or test_purging_removes_the_claim_and_the_namespace"


def _suite(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pytest", "tests/cluster_real", "-q", "-p", "no:cacheprovider", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SEATRIAL_")}
    return subprocess.run(argv, cwd=REPOSITORY, env={**environment, **variables}, capture_output=True, text=True, check=False)


def test_it_skips_and_says_what_it_needs() -> None:
    answer = _suite(SEATRIAL_TEST_IMAGE_RAY="ray:1")
    assert answer.returncode == 0
    assert "set SEATRIAL_TEST_KUBECONFIG, SEATRIAL_TEST_IMAGE_SPARK" in answer.stdout


def test_it_installs_twice_and_leaves_nothing(machine: Machine) -> None:
    machine.change(clusters=["theirs"], running=True, current="theirs")
    ray, spark = IMAGES
    answer = _suite(
        "-k",
        WITHOUT_NODES,
        PATH=f"{machine.folder / 'bin'}",
        FAKE_WORLD=str(machine.folder / "world.json"),
        SEATRIAL_TEST_KUBECONFIG=str(machine.folder / "kubeconfig"),
        SEATRIAL_TEST_IMAGE_RAY=ray,
        SEATRIAL_TEST_IMAGE_SPARK=spark,
    )
    assert answer.returncode == 0, answer.stdout[-4000:]
    assert "3 passed" in answer.stdout
    assert any("storage.claim.hostPath=/var/tmp/seatrial-test-store" in call for call in machine.calls("helm upgrade")), "no class, no volume: a folder"
    assert machine.objects() == []

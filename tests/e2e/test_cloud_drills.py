"""What the clouds charge for, under a run: machines that go, refusals, throttling. On the practice clouds, with the real engines."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import yaml

from drills.sandbox import make_sandbox
from tests.e2e.conftest import Place
from tests.practice import PracticeService

NAME = "drilled"  # no other test's jobs are called so: the service is shared
FIT = f"{NAME}-*-fit*"
EPOCHS = 24
STRIKE = 12  # the epoch at which a drill strikes: the mirror has brought a checkpoint to the store by then
SLOW = """

class Slow(tabular.EmbeddingMLP):
    def train(self, mode: bool = True) -> "Slow":
        time.sleep(0.4 * mode)  # once an epoch, so that a drill can strike between two on any machine
        return super().train(mode)
"""
EPOCH = re.compile(r"epoch (\d+)/")
_seeds = itertools.count()


@dataclass
class Rig:
    """A place whose dataset is made already, so that a run is one training job."""

    place: Place
    service: PracticeService
    cloud: str
    lines: list[str] = field(default_factory=list)

    def run(self, epochs: int = 1, *settings: str, meanwhile: Callable[[], None] | None = None) -> int:
        """The exit code of a run whose ``fit`` is new. ``meanwhile`` is called once, in the middle."""
        settings = (f"steps.fit.params.seed={next(_seeds)}", f"steps.fit.params.epochs_at_most={epochs}", *settings)
        words = [word for each in settings for word in ("--set", each)]
        child = self.place.start("run", "tiny/pipeline.yaml", "--on", self.cloud, *words, **self.service.environment)
        self.lines = []
        try:
            assert child.stderr
            for line in child.stderr:
                self.lines.append(line)
                if f"epoch {STRIKE}/" in line and meanwhile:
                    meanwhile()
                    meanwhile = None
            return child.wait()
        finally:
            child.kill()
            child.communicate()

    @property
    def said(self) -> str:
        return "".join(self.lines)

    def epochs(self) -> list[int]:
        return [int(found[1]) for line in self.lines if (found := EPOCH.search(line))]

    def arm(self, kind: str, **options: int) -> None:
        self.service.inject(kind, FIT, **options)

    def jobs(self) -> int:
        return sum(f"-{self.place.newest_run()['run'].removeprefix(NAME + '-')}-fit" in each for each in self.service.jobs(self.cloud))


@pytest.fixture(scope="module", params=["sagemaker", "azureml"])
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, practice_service: PracticeService) -> Iterator[Rig]:
    place = make_sandbox(tmp_path_factory.mktemp("drilled"))
    model = place.folder / "tiny" / "tiny" / "model.py"
    model.write_text(model.read_text().replace("tabular.EmbeddingMLP(", "Slow(").replace("from typing", "import time\nfrom typing", 1) + SLOW)
    path = place.folder / "tiny" / "pipeline.yaml"
    document = yaml.safe_load(path.read_text())
    steps = document["steps"]
    document |= {"name": NAME, "steps": {"prepare": steps["prepare"] | {"params": {"engine": "sail"}}}}
    path.write_text(yaml.safe_dump(document))
    rig = Rig(place, practice_service, str(request.param))
    done = place.run("run", "tiny/pipeline.yaml", "--on", rig.cloud, **practice_service.environment)
    assert done.returncode == 0, done.stderr
    document["steps"]["fit"] = steps["fit"] | {"resources": {"workers": 1}}
    path.write_text(yaml.safe_dump(document))
    yield rig
    practice_service.inject("none", "")


def test_spot_machines_that_go_cost_no_epoch(rig: Rig) -> None:
    code = rig.run(EPOCHS, "steps.fit.spot=true", meanwhile=lambda: rig.arm("spot-interruption", seconds=0))
    assert code == 0, rig.said
    assert sorted(set(rig.epochs())) == list(range(1, EPOCHS + 1))
    assert rig.epochs().count(1) == 1  # it did not begin anew
    assert rig.jobs() == 1


def test_a_lost_host_is_started_again_as_often_as_the_job_allows(rig: Rig) -> None:
    code = rig.run(EPOCHS, "steps.fit.retries=1", meanwhile=lambda: rig.arm("host-failure", seconds=0))
    assert code == 0, rig.said
    assert rig.epochs().count(1) == 1


def test_a_lost_host_of_a_job_without_retries_is_told(rig: Rig) -> None:
    rig.arm("host-failure", seconds=0)
    assert rig.run() == 1, rig.said
    assert "a machine was lost" in rig.said
    assert "retries" in rig.said


@pytest.mark.parametrize(
    ("kind", "code", "said"),
    [("quota", 2, "limit|quota"), ("access-denied", 2, "not allowed"), ("image-pull", 1, "the container image cannot be pulled")],
)
def test_a_refusal_is_a_sentence_and_leaves_nothing_running(rig: Rig, kind: str, code: int, said: str) -> None:
    rig.arm(kind)
    assert rig.run() == code, rig.said
    assert re.search(said, rig.said)
    assert "next: " in rig.said
    assert "Traceback" not in rig.said
    assert rig.jobs() == (1 if kind == "image-pull" else 0)


def test_throttling_is_outlived_without_a_second_job(rig: Rig) -> None:
    rig.arm("throttle", times=3)
    assert rig.run() == 0, rig.said
    assert rig.jobs() == 1

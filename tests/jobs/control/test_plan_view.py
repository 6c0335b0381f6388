"""``seatrial plan`` as people and scripts read it: targets side by side, errors in their column, exact requests, exit codes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from jobs.contracts.errors import RequestError, SetupError
from jobs.control.backend import BACKENDS, Cause
from jobs.control.cli.plan import command
from jobs.control.home import Home
from jobs.control.local_backend import LocalBackend
from jobs.control.plan import Plan, Price, Request, Upload
from jobs.control.plan_view import Column, as_data, asked, render, size
from jobs.control.request_facts import amounts
from jobs.control.spec import Pipeline, Step, Targets
from tests.jobs.control.specs import forbid_network

DIGEST = "0123456789abcdef" * 4
PIPELINE = Pipeline.model_validate(
    {
        "apiVersion": "seatrial/v1",
        "name": "flights",
        "steps": {
            "train": {"kind": "train", "entry": "a:b", "outputs": {"bundle": "bundle"}, "resources": {"workers": 2, "gpu": 1, "accelerator": "A10G"}},
            "judge": {"kind": "evaluate", "inputs": {"bundle": "train.bundle"}},
        },
    }
)
RAY_JOB = {
    "kind": "RayJob",
    "metadata": {"name": "preview-train"},
    "spec": {
        "workerGroupSpecs": [
            {
                "replicas": 2,
                "template": {
                    "containers": [
                        {"name": "worker", "image": "seatrial-ray:0.1.0", "resources": {"limits": {"cpu": "1", "memory": "2Gi", "nvidia.com/gpu": "1"}}}
                    ]
                },
            }
        ]
    },
}


def plan(target: str, step: str, *requests: Request, **more: Any) -> Plan:
    found = Plan(target, "preview", step, f"{target}://preview/{step}", f"/store/{step}", requests or (Request("process", {"argv": ["python"]}),), {})
    return replace(found, **more)


LOCAL = Column("local", {"train": plan("local", "train", outputs={"bundle": "/store/train/bundle"}), "judge": plan("local", "judge")})
CLUSTER = Column(
    "kubernetes",
    {
        "train": plan(
            "kubernetes",
            "train",
            Request("ConfigMap", {"kind": "ConfigMap"}),
            Request("RayJob", RAY_JOB),
            uploads=(Upload("/data/raw", f"pvc://seatrial-data/inputs/{DIGEST}", DIGEST, 11_745_099, 5),),
            losses=("spot: not here",),
            cost=Price(0.0017, 0.05, "USD", "2 workers x (1 cpu-hour at 0.04 USD); our contract (2026-06-30)"),
        ),
        "judge": plan("kubernetes", "judge"),
    },
)


def rows(text: str) -> dict[str, str]:
    """The first table's rows by their name."""
    table = text.partition("\n\n")[0].splitlines()[3:]
    return {line.split()[0]: line for line in table if line[:2] != "  " and line.split()}


def test_targets_stand_side_by_side() -> None:
    text = render(PIPELINE, [LOCAL, CLUSTER], 160)
    assert text.splitlines()[0] == "train (train)  workers 2, each cpu 1, memory 2Gi, 1 gpu A10G"
    assert text.splitlines()[1].split() == ["local", "kubernetes"]
    table = text.partition("judge (evaluate)")[0]
    found = rows(table)
    assert found["requests"].split() == ["requests", "process", "ConfigMap"]
    assert "RayJob" in table
    assert found["job"].split() == ["job", "local://preview/train", "kubernetes://preview/train"]
    assert found["takes"].split(maxsplit=2)[2] == "2 x worker: cpu 1, memory 2Gi, nvidia.com/gpu 1"
    assert found["image"].split() == ["image", "-", "seatrial-ray:0.1.0"]
    assert found["outputs"].split() == ["outputs", "bundle:", "/store/train/bundle", "-"]
    assert found["uploads"].split(maxsplit=2)[2] == "/data/raw: 11.2Mi, 5 files, 0123456789ab"
    assert found["losses"].split(maxsplit=2) == ["losses", "none", "spot: not here"]
    assert found["cost"].split(maxsplit=4) == ["cost", "no", "price", "known", "0.0017 to 0.05 USD"]
    assert "cost on kubernetes: 2 workers x (1 cpu-hour at 0.04 USD); our contract (2026-06-30)" in table


def test_rows_keep_their_order_whichever_target_comes_first() -> None:
    orders = {tuple(rows(render(PIPELINE, columns, 160).partition("judge (evaluate)")[0])) for columns in ([LOCAL, CLUSTER], [CLUSTER, LOCAL])}
    assert [order[:8] for order in orders] == [("requests", "job", "takes", "image", "outputs", "uploads", "losses", "cost")]


def test_the_requests_follow_unchanged() -> None:
    documents = [each for each in yaml.safe_load_all(render(PIPELINE, [LOCAL, CLUSTER], 160).partition("---\n")[2]) if each]
    assert documents == [{"argv": ["python"]}, {"argv": ["python"]}, {"kind": "ConfigMap"}, RAY_JOB, {"argv": ["python"]}]
    assert "# kubernetes / train: RayJob\n" in render(PIPELINE, [CLUSTER], 160)


def test_a_target_that_cannot_plan_says_so_in_its_column() -> None:
    refused = Column("ray", error=RequestError("no such store", where="targets.ray.store", hint="name one"))
    text = render(PIPELINE, [LOCAL, refused], 160)
    assert "cannot be planned: targets.ray.store: no such store" in text
    assert "next: name one" in text
    assert "local://preview/judge" in text
    assert as_data([refused]) == [{"target": "ray", "error": {"what": "no such store", "where": "targets.ray.store", "hint": "name one"}}]


@pytest.mark.parametrize("width", [40, 80, 300])
def test_nothing_is_cut_off_at_any_width(width: int) -> None:
    text = render(PIPELINE, [LOCAL, CLUSTER], width).partition("---\n")[0]
    assert max(map(len, text.splitlines())) <= width
    assert "kubernetes://preview/train" in text.replace("\n", "").replace(" ", "") or width == 40
    assert "…" not in text


def test_the_shape_of_an_entry_point_on_a_running_cluster() -> None:
    body = {"entrypoint": "python -m x", "entrypoint_num_cpus": 1, "entrypoint_memory": 2_147_483_648}
    text = render(PIPELINE, [Column("ray", {"train": plan("ray", "train", Request("POST /api/jobs/", body)), "judge": plan("ray", "judge")})], 160)
    assert "entry point: cpus 1, memory 2147483648" in text


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("spark.executor.cores 1\nspark.executor.instances 3\nspark.executor.memory 2048m\n", "3 x Spark executor: cores 1, memory 2048m"),
        ("spark.executor.cores 1\nspark.executor.memory 2048m\n", "a varying number x Spark executor: cores 1, memory 2048m"),
    ],
)
def test_executors_are_told_from_sparks_settings(settings: str, said: str) -> None:
    body = {"data": {"spark-defaults.conf": settings}, "containers": [{"name": "driver", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}}]}
    assert list(amounts([body])) == [said, "1 x driver: cpu 1"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"resources": {"workers": 0}}, "in its own process: cpu 1, memory 2Gi"),
        ({"resources": {"workers": {"min": 1, "max": 4}, "cpu": 0.5}}, "workers 1 to 4, each cpu 0.5, memory 2Gi"),
        ({"time_limit": "30m", "retries": 2, "spot": True}, "workers 1, each cpu 1, memory 2Gi; at most 30m; retries 2; spot"),
    ],
)
def test_what_a_step_asks_for_is_one_line(fields: dict[str, Any], said: str) -> None:
    assert asked(Step.model_validate({"kind": "evaluate", **fields})) == said


@pytest.mark.parametrize(("count", "said"), [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0Ki"), (11_745_099, "11.2Mi"), (3 * 2**30, "3.0Gi")])
def test_sizes_are_told_as_in_the_job_file(count: int, said: str) -> None:
    assert size(count) == said


# The command, on this machine and on a target that a test adds to the table


class Elsewhere(LocalBackend):
    """A test's target: plans as this machine does, refuses spot, and tells of one cause when asked."""

    said: tuple[Cause, ...] = ()

    def plan(self, step: Step, *arguments: Any, **more: Any) -> Plan:
        if step.spot:
            raise RequestError("no spot capacity here", where="spot", hint="leave it out")
        return replace(super().plan(step, *arguments, **more), target="elsewhere")

    def check(self, plan: Plan) -> list[Cause]:
        return list(self.said)


def create(home: Home, targets: Targets) -> Elsewhere:
    return Elsewhere(home)


@pytest.fixture
def _two_targets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(BACKENDS):
        monkeypatch.delitem(BACKENDS, name)
    for name, place in (("local", "jobs.control.local_backend:create"), ("elsewhere", f"{__name__}:create")):
        monkeypatch.setitem(BACKENDS, name, place)
    monkeypatch.setenv("SEATRIAL_HOME", str(tmp_path / "home"))


def seatrial_plan(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, [str(folder / "pipeline.yaml"), *arguments])


def data(result: Result) -> list[Mapping[str, Any]]:
    return json.loads(result.stdout)  # type: ignore[no-any-return]


@pytest.mark.usefixtures("_two_targets")
def test_all_means_every_target_of_the_table(flights_folder: Path) -> None:
    result = seatrial_plan(flights_folder, "--on", "all", "--output", "json")
    assert result.exit_code == 0, result.output
    assert [each["target"] for each in data(result)] == ["local"] * 5 + ["elsewhere"] * 5
    written = list(yaml.safe_load_all(seatrial_plan(flights_folder, "--on", "all", "--output", "yaml").stdout))
    assert written == data(result)
    text = seatrial_plan(flights_folder, "--on", "all").stdout
    assert text.count("local://preview/features") == 2  # the test's target plans as this machine does
    assert text == seatrial_plan(flights_folder, "--on", "all").stdout


@pytest.mark.usefixtures("_two_targets")
def test_one_target_that_refuses_does_not_hide_the_others(flights_folder: Path) -> None:
    arguments = ["--set", "steps.train.spot=true", "--output", "json"]
    both = seatrial_plan(flights_folder, "--on", "all", *arguments)
    assert both.exit_code == 0
    assert [each["error"]["what"] for each in data(both) if "error" in each] == ["no spot capacity here"]
    assert len(data(both)) == 5 + 1
    alone = seatrial_plan(flights_folder, "--on", "elsewhere", *arguments)
    assert isinstance(alone.exception, RequestError)
    assert alone.exception.exit_code == 2
    assert not alone.stdout


@pytest.mark.usefixtures("_two_targets")
def test_when_no_target_can_the_errors_are_told(flights_folder: Path) -> None:
    result = seatrial_plan(flights_folder, "--on", "all", "--set", "steps.features.inputs.raw=nowhere")
    assert isinstance(result.exception, RequestError)
    assert "no such file" in str(result.exception)
    assert not result.stdout
    assert not result.stderr  # the same error is told once


@pytest.mark.usefixtures("_two_targets")
def test_a_check_tells_causes_and_ends_with_1(flights_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert seatrial_plan(flights_folder, "--on", "elsewhere", "--check").exit_code == 0
    monkeypatch.setattr(Elsewhere, "said", (Cause("quota", "the quota is used up", "ask for more", "quota exceeded"),))
    result = seatrial_plan(flights_folder, "--on", "all", "--check", "--output", "json")
    assert result.exit_code == 1
    assert "check local: nothing stands in the way" in result.stderr
    assert result.stderr.count("check elsewhere: the quota is used up\n  next: ask for more\n  it says: quota exceeded") == 1
    assert len(data(result)) == 10
    assert seatrial_plan(flights_folder, "--on", "elsewhere").exit_code == 0  # never asked while planning


@pytest.mark.usefixtures("_two_targets")
def test_a_target_that_cannot_be_asked_is_a_finding(flights_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Elsewhere, plan: Plan) -> list[Cause]:
        raise SetupError("not reachable", hint="start it")

    monkeypatch.setattr(Elsewhere, "check", refuse)
    result = seatrial_plan(flights_folder, "--on", "elsewhere", "--check")
    assert result.exit_code == 1
    assert "check elsewhere: not reachable" in result.stderr


@pytest.mark.usefixtures("_two_targets")
def test_costs_come_from_the_users_price_file(flights_folder: Path, tmp_path: Path) -> None:
    row = "- {target: local, what: %s, price: 1, currency: EUR, source: the electricity bill, date: 2026-01-02}\n"
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "prices.yaml").write_text("prices:\n" + row % "cpu-hour" + row % "gib-hour")
    result = seatrial_plan(flights_folder, "--output", "json")
    assert data(result)[0]["cost"] == {"low": 0.1, "high": 3.0, "currency": "EUR", "basis": data(result)[0]["cost"]["basis"]}
    assert "the electricity bill (2026-01-02)" in seatrial_plan(flights_folder).stdout


def test_the_flights_example_is_planned_for_every_target_without_network(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATRIAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    forbid_network(monkeypatch)
    result = seatrial_plan(repository / "examples/flights", "--on", "all", "--output", "json")
    assert result.exit_code == 0, result.exception
    assert [each["target"] for each in data(result)] == [target for target in BACKENDS for _ in range(5)]
    assert not (tmp_path / "home").exists()


def test_the_flights_example_is_planned_within_a_second(repository: Path, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "jobs.control.cli", "plan", "examples/flights/pipeline.yaml"]
    used = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(argv, cwd=repository, env={**os.environ, "SEATRIAL_HOME": str(tmp_path)}, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(used) < 1  # seconds of processor time: what else runs on the machine does not count

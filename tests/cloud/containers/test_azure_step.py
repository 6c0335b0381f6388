"""Seatrial's steps as Azure ML runs them: mounted inputs and outputs, and a Ray that the service has started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloud.containers import outputs
from cloud.practice.hosts import Executor, Host, HostGroup, Limits
from jobs.contracts import bundle as bundles
from jobs.contracts import dataset as datasets
from jobs.contracts.errors import SeatrialError
from jobs.contracts.job import Job, StepResult
from tests.cloud.containers.rig import LIMIT, TINY, variables
from tests.workloads import tiny_data

MOUNTS = "/mnt/azureml/cr/j/job/wd"
RAY = f"{sys.executable} -m ray.scripts.scripts"
HEAD = RAY + " start --head --node-ip-address={head} --port={port} --num-cpus=1 --include-dashboard=false --disable-usage-stats --temp-dir=/var/tmp/ray"
HEAD += " --min-worker-port=0 --max-worker-port=0 || exit 1\n{command}"
WORKER = "for try in $(seq 60); do " + RAY + " start --address={head}:{port} --node-ip-address={own} --num-cpus=1 --disable-usage-stats --temp-dir=/var/tmp/ray"
WORKER += " --min-worker-port=0 --max-worker-port=0 --block && exit 0; sleep 1; done; exit 1"


def words(job: Path, folder: Path, inputs: dict[str, str], outputs: dict[str, str]) -> list[str]:
    pairs = [word for name, path in inputs.items() for word in ("--input", f"{name}={path}")]
    pairs += [word for name, path in outputs.items() for word in ("--output", f"{name}={path}")]
    return [sys.executable, "-m", "cloud.containers.azure_step", "--job", str(job), "--code", str(TINY), "--folder", str(folder), *pairs]


def run(command: list[str], **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=variables() | more, capture_output=True, text=True, timeout=LIMIT, check=False)


def job_file(folder: Path, kind: str, inputs: tuple[str, ...], outputs: tuple[str, ...], **more: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    job = Job.model_validate({"pipeline": "tiny", "run": "r", "step": kind, "kind": kind, "inputs": inputs, "outputs": outputs, "fingerprint": "f1"} | more)
    (folder / "job.json").write_text(job.model_dump_json())
    return folder / "job.json"


def test_features_from_a_mount_to_a_mount(tmp_path: Path) -> None:
    raw = tiny_data.write_points(tmp_path / "raw", rows=1500).parent
    made = job_file(tmp_path / "job", "etl", ("raw",), ("dataset",), entry="tiny.features:build", resources={"workers": 1, "cpu": 1})
    for folder in ("step", "dataset"):
        (tmp_path / folder).mkdir()  # as mounted: empty
    command = words(made, tmp_path / "step", {"raw": str(raw)}, {"dataset": str(tmp_path / "dataset")})
    done = run(command, SEATRIAL_ENGINE="sail")
    assert done.returncode == 0, done.stderr
    assert datasets.verify(str(tmp_path / "dataset")).fingerprint == "f1"
    result = StepResult.model_validate_json((tmp_path / "step" / "outputs.json").read_bytes())
    assert result.outputs["dataset"].fingerprint == "f1"


def test_training_without_ray(dataset: Path, tmp_path: Path) -> None:
    made = job_file(
        tmp_path / "job", "train", ("dataset",), ("bundle",), entry="tiny.model:build", params={"batch": 128, "epochs": 1}, resources={"workers": 0}
    )
    # The job file as an input of one file that is handed over as its folder.
    command = words(made.parent, tmp_path / "step", {"dataset": str(dataset)}, {"bundle": str(tmp_path / "bundle")})
    done = run(command)
    assert done.returncode == 0, done.stderr
    assert bundles.load(str(tmp_path / "bundle")).name
    assert (tmp_path / "step" / "metrics.jsonl").exists()


def test_a_failure_keeps_its_exit_code_and_its_sentence(dataset: Path, tmp_path: Path) -> None:
    made = job_file(tmp_path / "job", "train", ("dataset",), ("bundle",), entry="tiny.model:nothing", params={"batch": 128}, resources={"workers": 0})
    done = run(words(made, tmp_path / "step", {"dataset": str(dataset)}, {"bundle": str(tmp_path / "bundle")}))
    assert done.returncode == 2, done.stderr
    assert "nothing" in json.loads((tmp_path / "step" / "error.json").read_text())["what"]
    assert not (tmp_path / "bundle").exists()


def test_a_place_that_is_missing_is_named(dataset: Path, tmp_path: Path) -> None:
    made = job_file(tmp_path / "job", "train", ("dataset",), ("bundle",))
    done = run(words(made, tmp_path / "step", {"other": str(dataset)}, {"bundle": str(tmp_path / "bundle")}))
    assert done.returncode == 2
    assert "no --input for dataset" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_commit_is_copied_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    monkeypatch.setattr("jobs.contracts.storage.copy", lambda source, target: copied.append(os.path.basename(source)))
    for name in ("a.parquet", "manifest.json", "z.parquet"):
        (tmp_path / "made").mkdir(exist_ok=True)
        (tmp_path / "made" / name).touch()
    outputs.Scratch(tmp_path, {"made": str(tmp_path / "mount")}).publish(str(tmp_path / "step"))
    assert copied == ["a.parquet", "z.parquet", "manifest.json"]


def test_a_step_is_not_done_whose_output_cannot_be_brought_away(tmp_path: Path) -> None:
    (tmp_path / "step").mkdir()
    (tmp_path / "step" / "outputs.json").touch()
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "manifest.json").touch()
    (tmp_path / "mount").touch()  # a file where a folder must be
    with pytest.raises((SeatrialError, OSError)):
        outputs.Scratch(tmp_path, {"made": str(tmp_path / "mount")}).publish(str(tmp_path / "step"))
    assert not (tmp_path / "step" / "outputs.json").exists()


def test_training_joins_the_ray_that_the_service_started(executor: Executor, dataset: Path, tmp_path: Path) -> None:
    made = job_file(
        tmp_path / "job", "train", ("dataset",), ("bundle",), entry="tiny.model:build", params={"batch": 128, "epochs": 2}, resources={"workers": 2}
    )
    inside = {name: f"{MOUNTS}/{name}" for name in ("job", "code", "dataset", "step", "bundle")}
    here = {"job": made.parent, "code": TINY, "dataset": dataset, "step": tmp_path / "step", "bundle": tmp_path / "bundle"}
    for folder in ("step", "bundle"):
        here[folder].mkdir()
    command = words(Path(inside["job"], "job.json"), Path(inside["step"]), {"dataset": inside["dataset"]}, {"bundle": inside["bundle"]})
    command[command.index("--code") + 1] = inside["code"]
    addresses = executor.addresses(2)
    facts = {"head": addresses[0], "port": str(_free_port()), "command": "unset RAY_AUTH_MODE RAY_AUTH_TOKEN; " + " ".join(command)}
    scripts = [HEAD.format(**facts), WORKER.format(**facts, own=addresses[1])]
    mounts = {inside[name]: here[name] for name in inside}
    named = {"AZUREML_RUN_ID": "job", "AZUREML_NODE_COUNT": "2", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
    hosts = tuple(
        Host(f"node-{index}", addresses[index], ("/bin/sh", "-c", script), variables() | named, tmp_path / f"node-{index}", mounts, tmp_path / f"{index}.log")
        for index, script in enumerate(scripts)
    )
    lines: list[str] = []
    run = executor.start(HostGroup("azure", hosts, Limits(seconds=LIMIT, grace=1), leader="node-0"), lambda host, line: lines.append(line))
    ended = run.wait(LIMIT + 30)
    assert ended is not None
    assert ended.codes["node-0"] == 0, "\n".join(lines)
    text = "\n".join(lines)
    assert len({line.partition("ip=")[2].partition(",")[0] for line in lines if "world_rank=" in line}) == 2, text
    assert bundles.load(str(here["bundle"])).name
    assert (here["step"] / "outputs.json").exists()


def _free_port() -> int:
    from cloud.containers.ray_node import free_port

    return free_port("127.0.0.1")

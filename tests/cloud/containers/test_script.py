"""A user's own script, as AWS's framework containers run one: where it comes from, what it is told, how its end is told."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from cloud.containers.script_variables import arguments, decoded, of_script
from cloud.practice.hosts import Executor
from jobs.contracts import storage
from tests.cloud.containers.rig import Container, wait_until

SCRIPT = """
import json, os, sys
from pathlib import Path
import helper
told = {"argv": sys.argv[1:], "sm": {name: value for name, value in os.environ.items() if name.startswith("SM_")}, "cwd": os.getcwd(), "helper": helper.VALUE}
Path(os.environ["SM_MODEL_DIR"], "told.json").write_text(json.dumps(told))
print("loss=0.25")
"""
FAILING = "import sys\nprint('warming up')\nraise ValueError('the table has no rows é')\n"
TORCH = """
import os, torch, torch.distributed as dist
dist.init_process_group("gloo")
value = torch.ones(1) * (dist.get_rank() + 1)
dist.all_reduce(value)
print("sum", value.item(), "of", dist.get_world_size(), "master", os.environ["MASTER_ADDR"])
"""
STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("saving", flush=True), time.sleep(0.3), print("saved", flush=True), sys.exit(0)))
print("ready", flush=True)
time.sleep(60)
"""


def archive(folder: Path, **files: str) -> Path:
    """``sourcedir.tar.gz`` of these files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    path = folder / "sourcedir.tar.gz"
    with tarfile.open(path, "w:gz") as made:
        for name in files:
            made.add(folder / f"{name}.py", f"{name}.py")
    return path


def texts(**values: Any) -> dict[str, str]:
    """As the SageMaker SDK sends hyperparameters: JSON."""
    return {name: json.dumps(value) for name, value in values.items()}


def told(job: Container) -> dict[str, Any]:
    return json.loads((job.ml() / "model" / "told.json").read_text())  # type: ignore[no-any-return]


def test_a_script_from_s3_gets_variables_and_arguments(executor: Executor, bucket: str, dataset: Path, tmp_path: Path) -> None:
    source = f"{bucket}/code/sourcedir.tar.gz"
    storage.copy(str(archive(tmp_path / "code", main=SCRIPT, helper="VALUE = 7")), source)
    given = texts(sagemaker_program="main.py", sagemaker_submit_directory=source, epochs=3, rate=0.5, name="a b", layers=[1, 2], x=1)
    given |= {"raw": "not json"}
    job = Container(executor, tmp_path, "train", hyperparameters=given, data={"training": dataset})
    assert job.run().succeeded, job.text
    found = told(job)
    assert found["argv"] == ["--epochs", "3", "--layers", "[1, 2]", "--name", "a b", "--rate", "0.5", "--raw", "not json", "-x", "1"]
    assert found["cwd"].endswith("ml/code")
    assert found["helper"] == 7
    sm = found["sm"]
    assert json.loads(sm["SM_HPS"]) == {"epochs": 3, "rate": 0.5, "name": "a b", "layers": [1, 2], "x": 1, "raw": "not json"}
    assert json.loads(sm["SM_HOSTS"]) == ["algo-1"]
    assert json.loads(sm["SM_CHANNELS"]) == ["training"]
    assert sm["SM_CHANNEL_TRAINING"].endswith("/ml/input/data/training")
    assert (sm["SM_CURRENT_HOST"], sm["SM_HP_EPOCHS"], sm["SM_USER_ENTRY_POINT"], sm["SM_MODULE_NAME"]) == ("algo-1", "3", "main.py", "main")
    assert (sm["SM_CURRENT_INSTANCE_TYPE"], sm["SM_CURRENT_INSTANCE_GROUP"]) == ("ml.m5.large", "homogeneousCluster")
    assert sm["SM_MODULE_DIR"] == source
    assert json.loads(sm["SM_USER_ARGS"]) == found["argv"]
    assert json.loads(sm["SM_TRAINING_ENV"])["current_host"] == "algo-1"
    assert "algo-1: loss=0.25" in job.text
    assert (job.ml() / "output" / "success").exists()
    assert not (job.ml() / "output" / "failure").exists()


@pytest.mark.parametrize("packed", [False, True])
def test_a_script_from_a_channel(executor: Executor, tmp_path: Path, packed: bool) -> None:
    made = archive(tmp_path / "code", main=SCRIPT, helper="VALUE = 8")
    for path in (tmp_path / "code").glob("*.py" if packed else "*.gz"):
        path.unlink()
    job = Container(executor, tmp_path, "train", hyperparameters={"sagemaker_program": "main.py"}, data={"code": made.parent})
    assert job.run().succeeded, job.text
    assert told(job)["helper"] == 8


def test_a_failing_script_leaves_its_last_words(executor: Executor, tmp_path: Path) -> None:
    made = archive(tmp_path / "code", main=FAILING)
    job = Container(executor, tmp_path, "train", hyperparameters=texts(sagemaker_program="main.py", deep=1), data={"code": made.parent})
    assert job.run().codes == {"algo-1": 1}
    assert job.reason().startswith("ExecuteUserScriptError: ExitCode 1 ErrorMessage")
    assert "ValueError: the table has no rows é" in job.reason()
    assert "main.py --deep 1" in job.reason()
    assert len(job.reason().encode()) <= 1024


def test_torch_across_two_hosts(executor: Executor, tmp_path: Path) -> None:
    made = archive(tmp_path / "code", main=TORCH)
    given = texts(sagemaker_program="main.py", sagemaker_torch_distributed_enabled=True)
    job = Container(executor, tmp_path, "train", 2, hyperparameters=given, data={"code": made.parent})
    assert job.run().codes == {"algo-1": 0, "algo-2": 0}, job.text
    assert job.text.count("sum 3.0 of 2 master 127.0.") == 2


def test_sigterm_reaches_the_script_which_may_still_save(executor: Executor, tmp_path: Path) -> None:
    made = archive(tmp_path / "code", main=STUBBORN)
    job = Container(executor, tmp_path, "train", hyperparameters={"sagemaker_program": "main.py"}, data={"code": made.parent})
    run = job.start()
    wait_until(lambda: "ready" in job.text, job, run)
    run.stop()
    ended = run.wait(20)
    assert ended is not None
    assert ended.codes == {"algo-1": 0}
    assert "saved" in job.text


WRONG = {
    "nothing": ({}, "this container was not told what to train"),
    "no script": ({"sagemaker_program": "main.py"}, "there is no script to run"),
    "no such script": (texts(sagemaker_program="other.py"), "there is no 'other.py'"),
    "not there": (texts(sagemaker_program="main.py", sagemaker_submit_directory="/nowhere"), "/nowhere"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_missing_is_said(executor: Executor, tmp_path: Path, case: str) -> None:
    given, expected = WRONG[case]
    data = {"code": archive(tmp_path / "code", main="").parent} if case == "no such script" else {}
    job = Container(executor, tmp_path, "train", hyperparameters=given, data=data)
    assert job.run().codes == {"algo-1": 2}, job.text
    assert expected in job.reason()
    assert "next:" in job.reason()


def test_an_archive_that_would_leave_its_folder_is_refused(executor: Executor, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "evil.py").write_text("x = 1")
    with tarfile.open(tmp_path / "code" / "sourcedir.tar.gz", "w:gz") as made:
        made.add(tmp_path / "evil.py", "../../evil.py")
    job = Container(executor, tmp_path, "train", hyperparameters={"sagemaker_program": "evil.py"}, data={"code": tmp_path / "code"})
    assert job.run().codes == {"algo-1": 2}, job.text
    assert "this is no tar archive" in job.reason()
    assert not (job.ml() / "evil.py").exists()


def test_hyperparameters_are_texts_that_may_be_json() -> None:
    given = {"a": "1", "b": '"text"', "c": "text", "d": '{"x": 1, "y": 2}', "e": "null", "f": "true", "sagemaker_region": '"eu-west-1"'}
    values = decoded(given)
    assert values == {"a": 1, "b": "text", "c": "text", "d": {"x": 1, "y": 2}, "e": None, "f": True, "sagemaker_region": "eu-west-1"}
    assert arguments(of_script(values)) == ["-a", "1", "-b", "text", "-c", "text", "-d", "x=1,y=2", "-e", "", "-f", "True"]

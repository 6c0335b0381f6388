"""The executors' entry point: what it makes of Spark's variables, and that Spark's own class takes it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from cluster.rendering.spark_job import ENTRYPOINT

SCRIPT = Path(__file__).parents[2] / "docker/entrypoint.sh"
BACKEND = "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend"
# As Spark 4.2 sets them in an executor's pod (BasicExecutorFeatureStep).
TOLD = {
    "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@127.0.0.1:1",
    "SPARK_EXECUTOR_ID": "3",
    "SPARK_EXECUTOR_CORES": "2",
    "SPARK_EXECUTOR_MEMORY": "512m",
    "SPARK_APPLICATION_ID": "spark-1f2e",
    "SPARK_EXECUTOR_POD_IP": "127.0.0.1",
    "SPARK_EXECUTOR_POD_NAME": "flights-exec-3",
    "SPARK_RESOURCE_PROFILE_ID": "0",
}


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def image(tmp_path: Path) -> dict[str, str]:
    """The image's environment, with a tini and a java that print what they are called with."""
    executable(tmp_path / "bin/tini", '#!/bin/sh\nprintf "%s\\n" tini "$1"\nshift\nexec "$@"\n')
    executable(tmp_path / "java/bin/java", '#!/bin/sh\nprintf "%s\\n" java "$@"\n')
    return {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "JAVA_HOME": f"{tmp_path}/java", "SPARK_HOME": "/opt/spark home"}


def start(env: dict[str, str], *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, *arguments], env=env, capture_output=True, text=True, timeout=timeout, check=False)


def test_the_pod_template_names_this_script() -> None:
    dockerfile = (SCRIPT.parents[1] / "Dockerfile").read_text()
    assert f"docker/entrypoint.sh {ENTRYPOINT}\n" in dockerfile
    assert os.access(SCRIPT, os.X_OK)


def test_an_executor_is_told_what_spark_put_into_the_environment(image: dict[str, str]) -> None:
    answer = start(image | TOLD, "executor")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines() == [
        *("tini", "--", "java", "-Xms512m", "-Xmx512m", "-cp", "/opt/spark home/jars/*", BACKEND),
        *("--driver-url", "spark://CoarseGrainedScheduler@127.0.0.1:1", "--executor-id", "3", "--cores", "2", "--app-id", "spark-1f2e"),
        *("--hostname", "127.0.0.1", "--resourceProfileId", "0", "--podName", "flights-exec-3"),
    ]


def test_java_options_keep_their_order_and_their_spaces(image: dict[str, str]) -> None:
    options = [f"-Dnumber={number} $HOME *" for number in range(12)]
    told = {f"SPARK_JAVA_OPT_{number}": option for number, option in enumerate(options)}
    lines = start(image | TOLD | dict(reversed(told.items())), "executor").stdout.splitlines()
    assert lines[3:15] == options
    assert lines[15] == "-Xms512m"


def test_configuration_comes_before_the_jars(image: dict[str, str]) -> None:
    more = {"SPARK_CLASSPATH": "/extra/*", "SPARK_CONF_DIR": "/opt/spark/conf", "HADOOP_CONF_DIR": "/opt/hadoop/conf"}
    lines = start(image | TOLD | more, "executor").stdout.splitlines()
    assert lines[lines.index("-cp") + 1] == "/extra/*:/opt/spark/conf:/opt/hadoop/conf:/opt/spark home/jars/*"


@pytest.mark.parametrize("missing", sorted(TOLD))
def test_a_variable_that_is_missing_is_named(image: dict[str, str], missing: str) -> None:
    answer = start(image | {name: value for name, value in TOLD.items() if name != missing}, "executor")
    assert answer.returncode != 0
    assert missing in answer.stderr


@pytest.mark.parametrize("arguments", [(), ("driver",)])
def test_anything_but_an_executor_is_refused(image: dict[str, str], arguments: tuple[str, ...]) -> None:
    answer = start(image | TOLD, *arguments)
    assert answer.returncode == 64
    assert 'expected the argument "executor"' in answer.stderr


def test_spark_takes_these_arguments_and_asks_the_driver(tmp_path: Path) -> None:
    """The real class on the real classpath: with nobody at the driver's address it gets as far as the refused connection."""
    java, spark = shutil.which("java"), importlib.util.find_spec("pyspark")
    if java is None or spark is None or not spark.origin:
        pytest.skip("needs Java and PySpark")
    executable(tmp_path / "bin/tini", '#!/bin/sh\nshift\nexec "$@"\n')
    home = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "JAVA_HOME": str(Path(java).resolve().parents[1]), "SPARK_HOME": str(Path(spark.origin).parent)}
    options = {"SPARK_JAVA_OPT_0": "-Dspark.driver.port=1", "SPARK_JAVA_OPT_1": "-Dspark.rpc.numRetries=0"}
    answer = start(home | TOLD | options, "executor")
    said = answer.stdout + answer.stderr
    assert answer.returncode != 0
    assert "Connection refused: /127.0.0.1:1" in said, said
    assert "Unrecognized options" not in said

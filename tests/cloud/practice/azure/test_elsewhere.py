"""Where a job runs otherwise: without namespaces, out of memory, and under Spark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloud.practice.azure.addresses import WORKSPACE_ID
from cloud.practice.azure.service import Service
from cloud.practice.hosts import Executor, Limits, isolation
from cloud.practice.settings import Practice
from tests.cloud.practice.azure.workspace import IMAGE, Workspace

SPARK = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print("rows", spark.range(int(sys.argv[1])).count(), spark.conf.get("spark.sql.shuffle.partitions"))
"""


def run(practice: Practice, command: str, **more: Any) -> dict[str, Any]:
    """A command job in a service that nobody reaches over a network."""
    service = Service.open(practice)
    try:
        from cloud.practice.azure.addresses import address

        environment = service.assets.put(address("environments", "e", "versions", "1"), {"properties": {"image": IMAGE}})["id"]
        service.jobs.put("job", {"jobType": "Command", "command": command, "environmentId": environment, **more})
        job = service.jobs.wait("job", 60)["properties"]
        return {**job, "log": (service.jobs.artifacts("job") / "user_logs" / "std_log.txt").read_text()}
    finally:
        service.close()


def test_without_namespaces_paths_are_the_folders_here(tmp_path: Path) -> None:
    practice = replace(Practice.open(tmp_path, 1, 2, 3), executor=Executor(isolation.Isolation(isolation.FALLBACK, ())))
    place = tmp_path / "azure/blobs/azureml-blobstore-practice/in"
    place.mkdir(parents=True)
    (place / "a.txt").write_text("rows\n")
    inputs = {"data": {"jobInputType": "uri_folder", "uri": "azureml://datastores/workspaceblobstore/paths/in"}}
    job = run(
        practice,
        "cat ${{inputs.data}}/a.txt; cat $AZURE_ML_INPUT_data/a.txt; echo x > ${{outputs.o}}/x",
        inputs=inputs,
        outputs={"o": {"jobOutputType": "uri_folder"}},
    )
    assert (job["status"], job["log"]) == ("Completed", "rows\nrows\n"), job
    assert (tmp_path / "azure/blobs/azureml-blobstore-practice/azureml/job/o/x").exists()


def test_too_much_memory_is_told_as_such(tmp_path: Path) -> None:
    practice = Practice.open(tmp_path, 1, 2, 3, Limits(memory=60))
    job = run(practice, "python -c 'x = bytearray(200 << 20); import time; x[::4096] = b\"1\" * len(x[::4096]); time.sleep(20)'")
    assert (job["status"], job["error"]["code"]) == ("Failed", "OutOfMemory")


def test_a_spark_job_runs_under_spark_submit(workspace: Workspace) -> None:
    entry = {"sparkJobEntryType": "SparkJobPythonEntry", "file": "main.py"}
    shape = {"conf": {"spark.sql.shuffle.partitions": "7"}, "resources": {"instanceType": "standard_e4s_v3", "runtimeVersion": "3.4"}}
    name = workspace.submit(
        {
            "jobType": "Spark",
            "entry": entry,
            "args": "${{inputs.n}}",
            "inputs": {"n": {"jobInputType": "literal", "value": "42"}},
            "codeId": workspace.code(main_py=SPARK),
            **shape,
        }
    )
    assert workspace.end(name, 300)["status"] == "Completed", workspace.log(name)  # Spark on a busy machine
    assert "rows 42 7" in workspace.log(name)


@pytest.mark.parametrize("changes", [{"entry": {}}, {"entry": {"sparkJobEntryType": "SparkJobScalaEntry", "className": "Main"}}, {"resources": {}}], ids=str)
def test_spark_jobs_that_are_refused(workspace: Workspace, changes: dict[str, Any]) -> None:
    entry = {"sparkJobEntryType": "SparkJobPythonEntry", "file": "main.py"}
    properties = {"jobType": "Spark", "entry": entry, "resources": {"runtimeVersion": "3.4"}, **changes}
    assert workspace.http.put(f"{WORKSPACE_ID}/jobs/bad-spark", json={"properties": properties}).status_code == 400

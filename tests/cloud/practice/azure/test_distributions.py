"""Several hosts: names, ranks, logs of each, and Ray started by the service."""

from __future__ import annotations

from tests.cloud.practice.azure.workspace import Workspace

RANKS = """
import os, sys
names = ("MASTER_ADDR", "WORLD_SIZE", "NODE_RANK", "RANK", "LOCAL_RANK")
sys.stdout.write(" ".join(os.environ[name] for name in names) + "\\n")
"""
CLUSTER = """
import ray, time
ray.init(address="auto", log_to_driver=False)
nodes = set()
for _ in range(100):
    nodes = {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    if len(nodes) == 2:
        break
    time.sleep(0.2)
print("nodes", len(nodes), flush=True)
"""


def test_pytorch_has_ranks_and_a_log_for_each_host(workspace: Workspace) -> None:
    shape = {"distribution": {"distributionType": "PyTorch", "processCountPerInstance": 2}, "resources": {"instanceCount": 2}}
    job = workspace.run("python main.py", codeId=workspace.code(main_py=RANKS), **shape)
    assert job["status"] == "Completed", job
    logs = workspace.logs(job["name"])
    assert sorted(logs) == ["user_logs/std_log_process_0.txt", "user_logs/std_log_process_1.txt"]
    rows = [line.split() for text in logs.values() for line in text.splitlines()]
    assert sorted((row[2], row[3], row[4]) for row in rows) == [("0", "0", "0"), ("0", "1", "1"), ("1", "2", "0"), ("1", "3", "1")]
    assert {(row[0].startswith("127.0."), row[1]) for row in rows} == {(True, "4")}


def test_mpi_has_open_mpi_s_variables(workspace: Workspace) -> None:
    shape = {"distribution": {"distributionType": "Mpi", "processCountPerInstance": 1}, "resources": {"instanceCount": 2}}
    job = workspace.run("echo $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE", **shape)
    assert sorted(job["log"].splitlines()) == ["0 of 2", "1 of 2"]


def test_one_failing_host_ends_the_job(workspace: Workspace) -> None:
    shape = {"distribution": {"distributionType": "PyTorch"}, "resources": {"instanceCount": 2}}
    job = workspace.run("[ $RANK = 1 ] && { echo bad disk; exit 4; }; sleep 30", **shape)
    assert job["status"] == "Failed"
    assert "status code 4" in job["error"]["message"]
    assert "bad disk" in job["error"]["message"]


def test_ray_is_started_on_every_host_and_the_command_runs_on_the_head(workspace: Workspace) -> None:
    shape = {"distribution": {"distributionType": "Ray"}, "resources": {"instanceCount": 2}}
    name = workspace.submit(workspace.command("python main.py", codeId=workspace.code(main_py=CLUSTER), **shape))
    job = workspace.end(name, 120)
    assert job["status"] == "Completed", workspace.log(name)
    assert "nodes 2" in workspace.logs(name)["user_logs/std_log_process_0.txt"]

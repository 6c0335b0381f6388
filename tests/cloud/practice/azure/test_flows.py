"""Pipelines and sweeps: jobs that start jobs."""

from __future__ import annotations

import time
from typing import Any

import pytest

from cloud.practice.azure.addresses import WORKSPACE_ID
from cloud.practice.azure.sweeps import samples
from tests.cloud.practice.azure.workspace import Workspace

CLUSTER = f"{WORKSPACE_ID}/computes/cpu-cluster"
FOLDER = {"type": "uri_folder"}
LOG = "import sys, mlflow\nlr = float(sys.argv[1])\nmlflow.log_metric('loss', (lr - 0.3) ** 2)\n"


def component(workspace: Workspace, name: str, command: str, inputs: dict[str, Any] | None = None, outputs: dict[str, Any] | None = None) -> str:
    spec = {"type": "command", "command": command, "environment": f"azureml:{workspace.environment()}", "inputs": inputs or {}, "outputs": outputs or {}}
    return str(workspace.call("PUT", f"components/{name}/versions/{time.time_ns()}", {"properties": {"componentSpec": spec}})["id"])


def literal(value: str) -> dict[str, str]:
    return {"job_input_type": "literal", "value": value}


def two_steps(workspace: Workspace, first: str = "echo ${{inputs.word}} > ${{outputs.data}}/x") -> dict[str, Any]:
    prepare = component(workspace, "prepare", first, {"word": {"type": "string", "default": "none"}}, {"data": FOLDER})
    train = component(workspace, "train", "cat ${{inputs.data}}/x > ${{outputs.model}}/m", {"data": FOLDER}, {"model": FOLDER})
    nodes = {
        "train": {
            "type": "command",
            "componentId": train,
            "inputs": {"data": literal("${{parent.jobs.prepare.outputs.data}}")},
            "outputs": {"model": {"value": "${{parent.outputs.model}}", "type": "literal"}},
        },
        "prepare": {"type": "command", "componentId": prepare, "inputs": {"word": literal("${{parent.inputs.word}}")}},
    }
    given = {"inputs": {"word": {"jobInputType": "literal", "value": "hey"}}, "outputs": {"model": {"jobOutputType": "uri_folder"}}}
    return {"jobType": "Pipeline", "jobs": nodes, "settings": {"default_compute": CLUSTER}, **given}


def test_a_pipeline_runs_its_nodes_in_order(workspace: Workspace) -> None:
    name = workspace.submit(two_steps(workspace))
    assert workspace.end(name)["status"] == "Completed"
    assert workspace.blob(f"azureml/{name}/model/m").read_text() == "hey\n"
    children = workspace.http.get(f"/history/v1.0{WORKSPACE_ID}/runs/{name}/children").json()["value"]
    assert {child["runId"]: child["status"] for child in children} == {f"{name}_prepare": "Completed", f"{name}_train": "Completed"}
    assert name in [each["name"] for each in workspace.call("GET", "jobs")["value"]]
    assert f"{name}_train" not in [each["name"] for each in workspace.call("GET", "jobs")["value"]]


def test_a_failed_node_fails_the_pipeline_and_the_next_never_starts(workspace: Workspace) -> None:
    name = workspace.submit(two_steps(workspace, "exit 1"))
    job = workspace.end(name)
    assert job["status"] == "Failed"
    assert "/prepare" in job["error"]["message"]
    workspace.call("GET", f"jobs/{name}_train", code=404)


def test_cancelling_a_pipeline_cancels_its_children(workspace: Workspace) -> None:
    name = workspace.submit(two_steps(workspace, "sleep 30"))
    workspace.until(lambda: workspace.http.get(f"{WORKSPACE_ID}/jobs/{name}_prepare").status_code == 200, "the first node")
    workspace.call("POST", f"jobs/{name}/cancel", code=202)
    assert workspace.end(name)["status"] == "Canceled"
    assert workspace.end(f"{name}_prepare")["status"] == "Canceled"


def node(pipeline: dict[str, Any], name: str, **changes: Any) -> None:
    pipeline["jobs"][name] = {**pipeline["jobs"][name], **changes}


@pytest.mark.parametrize(
    ("what", "inner"),
    [
        ("nothing", "EmptyPipeline"),
        ("a cycle", "CyclicPipeline"),
        ("no component", "ComponentNotFound"),
        ("no compute", "ComputeNotFound"),
        ("no input", "MissingInput"),
        ("an unknown output", "InvalidExpression"),
        ("an unknown input", "InvalidExpression"),
        ("another type", "BadArgument"),
        ("a stranger", "BadArgument"),
    ],
)
def test_pipelines_that_are_refused(workspace: Workspace, what: str, inner: str) -> None:
    pipeline = two_steps(workspace)
    match what:
        case "nothing":
            pipeline["jobs"] = {}
        case "a cycle":
            node(pipeline, "prepare", inputs={"word": literal("${{parent.jobs.train.outputs.model}}")})
        case "no component":
            node(pipeline, "train", componentId="")
        case "no compute":
            pipeline["settings"] = {}
        case "no input":
            node(pipeline, "train", inputs={})
        case "an unknown output":
            node(pipeline, "train", inputs={"data": literal("${{parent.jobs.prepare.outputs.none}}")})
        case "an unknown input":
            node(pipeline, "prepare", inputs={"word": literal("${{parent.inputs.none}}")})
        case "another type":
            node(pipeline, "train", type="parallel")
        case "a stranger":
            node(pipeline, "prepare", inputs={"none": literal("1")})
    answer = workspace.call("PUT", "jobs/bad-pipeline", {"properties": pipeline}, 400)
    assert answer["error"]["additionalInfo"][0]["info"]["value"]["code"] == inner


def sweep(workspace: Workspace, **changes: Any) -> dict[str, Any]:
    trial = {"command": "python main.py ${{search_space.lr}}", "codeId": workspace.code(main_py=LOG), "environmentId": workspace.environment()}
    plan = {"searchSpace": {"lr": ["choice", [[0.1, 0.3, 0.5]]]}, "samplingAlgorithm": {"samplingAlgorithmType": "Grid"}}
    limits = {"maxTotalTrials": 3, "maxConcurrentTrials": 2}
    return {
        "jobType": "Sweep",
        "trial": trial,
        "computeId": CLUSTER,
        "objective": {"primaryMetric": "loss", "goal": "Minimize"},
        "limits": limits,
        **plan,
        **changes,
    }


def test_a_sweep_finds_the_best_trial(workspace: Workspace) -> None:
    name = workspace.submit(sweep(workspace))
    job = workspace.end(name, 120)
    assert job["status"] == "Completed", job
    assert (job["properties"]["best_child_run_id"], float(job["properties"]["score"])) == (f"{name}_1", 0)


def test_a_sweep_whose_trials_log_nothing_fails(workspace: Workspace) -> None:
    given = sweep(workspace)
    given["trial"] |= {"command": "echo ${{search_space.lr}}"}
    job = workspace.end(workspace.submit(given))
    assert job["status"] == "Failed"
    assert "primary metric 'loss'" in job["error"]["message"]


@pytest.mark.parametrize(
    "changes",
    [
        {"searchSpace": {}},
        {"searchSpace": {"lr": ["gauss", [1, 2]]}},
        {"searchSpace": {"lr": ["uniform", [0, 1]]}},  # a grid has choices only
        {"samplingAlgorithm": {"samplingAlgorithmType": "Genetic"}},
        {"objective": {"primaryMetric": "loss", "goal": "Best"}},
        {"objective": {"goal": "Minimize"}},
        {"earlyTermination": {"policyType": "Coin"}},
        {"limits": {"maxTotalTrials": 0}},
        {"limits": {"maxConcurrentTrials": 5000}},
        {"trial": {"command": ""}},
    ],
    ids=str,
)
def test_sweeps_that_are_refused(workspace: Workspace, changes: dict[str, Any]) -> None:
    assert workspace.call("PUT", "jobs/bad-sweep", {"properties": sweep(workspace, **changes)}, 400)["error"]["code"] == "UserError"


def test_random_sampling_repeats_with_its_seed_and_stays_in_range() -> None:
    space = {"lr": ["loguniform", [-4, 0]], "n": ["quniform", [10, 20, 5]], "k": ["randint", [3]], "c": ["choice", [["a", "b"]]]}
    given = {"searchSpace": space, "samplingAlgorithm": {"samplingAlgorithmType": "Random", "seed": 7}}
    points = samples(given, 50)
    assert points == samples(given, 50)
    assert all(0.018 < point["lr"] <= 1 and point["n"] in (10, 15, 20) and point["k"] in (0, 1, 2) and point["c"] in "ab" for point in points)
    assert len({point["lr"] for point in points}) == 50


def test_a_bandit_ends_a_trial_that_falls_behind(workspace: Workspace) -> None:
    slow = LOG + "import time\nfor step in range(8):\n    mlflow.log_metric('loss', lr, step=step)\n    time.sleep(0.5 if lr > 1 else 0.1)\n"
    given = sweep(workspace, searchSpace={"lr": ["choice", [[0.1, 9]]]}, earlyTermination={"policyType": "Bandit", "slackFactor": 0.1, "evaluationInterval": 1})
    given["trial"] |= {"codeId": workspace.code(main_py=slow)}
    name = workspace.submit(given)
    assert workspace.end(name, 120)["status"] == "Completed"
    assert [workspace.job(f"{name}_{index}")["status"] for index in range(2)] == ["Completed", "Canceled"]

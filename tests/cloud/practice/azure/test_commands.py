"""Command jobs: what the command finds around it, how it ends, and what stays."""

from __future__ import annotations

import time

import pytest

from tests.cloud.practice.azure.workspace import Workspace

STATES = ["NotStarted", "Queued", "Preparing", "Provisioning", "Starting", "Running", "Finalizing", "Completed"]


def folder(path: str, mode: str = "ReadOnlyMount") -> dict[str, str]:
    return {"jobInputType": "uri_folder", "uri": f"azureml://datastores/workspaceblobstore/paths/{path}", "mode": mode}


def test_goes_through_every_state(workspace: Workspace) -> None:
    job = workspace.run("echo hello")
    assert job["status"] == "Completed"
    assert workspace.states(job["name"]) == STATES
    assert job["log"].strip() == "hello"


def test_starts_within_two_seconds(workspace: Workspace) -> None:
    properties = workspace.command("sleep 1")
    started = time.monotonic()
    name = workspace.submit(properties)
    workspace.until(lambda: workspace.job(name)["status"] not in STATES[:5], "Running")
    assert time.monotonic() - started < 2
    workspace.end(name)


@pytest.mark.parametrize("mode", ["ReadOnlyMount", "Download"])
def test_inputs_are_paths_and_values(workspace: Workspace, mode: str) -> None:
    place = workspace.blob(f"in-{mode}")
    place.mkdir(parents=True)
    (place / "a.txt").write_text("rows")
    inputs = {"data": folder(place.name, mode), "lr": {"jobInputType": "literal", "value": "0.5"}}
    job = workspace.run("cat ${{inputs.data}}/a.txt; echo ' lr' ${{inputs.lr}} $AZURE_ML_INPUT_lr", inputs=inputs)
    assert job["log"].strip() == "rows lr 0.5 0.5"


def test_a_direct_input_is_its_address(workspace: Workspace) -> None:
    given = folder("somewhere", "Direct")
    assert workspace.run("echo ${{inputs.data}}", inputs={"data": given})["log"].strip() == given["uri"]


def test_an_input_of_one_file(workspace: Workspace) -> None:
    workspace.blob("one.csv").write_text("1,2")
    given = {"jobInputType": "uri_file", "uri": "azureml://datastores/workspaceblobstore/paths/one.csv"}
    assert workspace.run("cat ${{inputs.data}}", inputs={"data": given})["log"].strip() == "1,2"


def test_outputs_are_blobs_and_the_next_job_s_input(workspace: Workspace) -> None:
    first = workspace.run("echo made > ${{outputs.model}}/m.txt", outputs={"model": {"jobOutputType": "uri_folder"}})
    given = {"jobInputType": "uri_folder", "uri": f"azureml://jobs/{first['name']}/outputs/model"}
    assert workspace.run("cat ${{inputs.model}}/m.txt", inputs={"model": given})["log"].strip() == "made"
    assert workspace.blob(f"azureml/{first['name']}/model/m.txt").read_text() == "made\n"


def test_a_named_output_becomes_an_asset_with_the_next_version(workspace: Workspace) -> None:
    output = {"jobOutputType": "uri_folder", "assetName": "made-data"}
    for _ in range(2):
        workspace.run("echo x > ${{outputs.data}}/x", outputs={"data": output})
    assert [each["name"] for each in workspace.call("GET", "data/made-data/versions")["value"]] == ["2", "1"]
    given = {"jobInputType": "uri_folder", "uri": "azureml:made-data:2"}
    assert workspace.run("ls ${{inputs.data}}", inputs={"data": given})["log"].strip() == "x"


def test_code_is_the_working_folder_and_outputs_are_artefacts(workspace: Workspace) -> None:
    code = workspace.code(main_py="import helper\nopen('outputs/report.txt', 'w').write(helper.TEXT)\n", helper_py="TEXT = 'from the snapshot'\n")
    job = workspace.run("python main.py", codeId=code)
    kept = workspace.blob(f"ExperimentRun/dcid.{job['name']}/outputs/report.txt", "azureml")
    assert kept.read_text() == "from the snapshot"


def test_optional_sections_go_with_their_input(workspace: Workspace) -> None:
    command = "echo a $[[--x ${{inputs.x}}]] $[[--y ${{inputs.y}}]]"
    assert workspace.run(command, inputs={"x": {"jobInputType": "literal", "value": "1"}})["log"].strip() == "a --x 1"


def test_variables_of_the_job_the_environment_and_the_service(workspace: Workspace) -> None:
    job = workspace.run("echo $OWN $AZUREML_RUN_ID $AZUREML_ARM_WORKSPACE_NAME $MLFLOW_RUN_ID", environmentVariables={"OWN": "mine"})
    assert job["log"].split() == ["mine", job["name"], "practice", job["name"]]


def test_the_mlflow_run_has_started_and_takes_metrics(workspace: Workspace) -> None:
    text = (
        "import mlflow\nmlflow.log_param('lr', 1)\nfor step in range(3): mlflow.log_metric('loss', 1 - step / 4, step=step)\nmlflow.set_tag('kind', 'test')\n"
    )
    job = workspace.run("python main.py", codeId=workspace.code(main_py=text), experimentName="tracked")
    from cloud.practice.azure.seeds import tracking_url

    run = workspace.http.get(f"{tracking_url(workspace.practice)}/api/2.0/mlflow/runs/get", params={"run_id": job["name"]}).json()["run"]
    assert run["info"]["status"] == "FINISHED"
    assert run["info"]["experiment_id"] == "tracked"
    assert [(each["key"], each["value"]) for each in run["data"]["metrics"]] == [("loss", 0.5)]
    assert {"key": "lr", "value": "1"} in run["data"]["params"]
    assert {"key": "kind", "value": "test"} in run["data"]["tags"]


def test_a_failing_command_says_why(workspace: Workspace) -> None:
    job = workspace.run("echo about to fail; exit 3")
    assert job["status"] == "Failed"
    assert "exited with status code 3" in job["error"]["message"]
    assert "about to fail" in job["error"]["message"]


def test_a_missing_input_fails_the_job(workspace: Workspace) -> None:
    job = workspace.run("ls ${{inputs.data}}", inputs={"data": folder("never-written")})
    assert job["status"] == "Failed"
    assert "DataAccessError" in job["error"]["message"]


def test_an_unknown_image_fails_the_job_with_the_list(workspace: Workspace) -> None:
    job = workspace.run("true", environmentId=workspace.environment("mcr.microsoft.com/azureml/none:1"))
    assert job["error"]["code"] == "ImageBuildFailure"
    assert "seatrial-ray" in job["error"]["message"]


def test_cancel_sends_sigterm_and_ends_canceled(workspace: Workspace) -> None:
    name = workspace.submit(workspace.command("trap 'echo told; exit 0' TERM; echo ready; while true; do sleep 0.1; done"))
    workspace.until(lambda: "ready" in workspace.log(name), "the command")
    workspace.call("POST", f"jobs/{name}/cancel", code=202)
    assert workspace.end(name)["status"] == "Canceled"
    assert "told" in workspace.log(name)
    workspace.call("POST", f"jobs/{name}/cancel", code=202)  # once more is harmless


def test_the_time_limit_cancels(workspace: Workspace) -> None:
    job = workspace.run("sleep 30", limits={"jobLimitsType": "Command", "timeout": "PT1S"})
    assert job["status"] == "Canceled"
    assert "PT1S" in job["error"]["message"]


def test_the_same_request_again_is_the_same_job(workspace: Workspace) -> None:
    properties = workspace.command("echo once >> ${{outputs.out}}/log", outputs={"out": {"jobOutputType": "uri_folder"}})
    name = workspace.submit(properties)
    workspace.end(name)
    workspace.submit({**properties, "tags": {"again": "yes"}}, name)
    assert workspace.job(name)["tags"] == {"again": "yes"}
    assert workspace.blob(f"azureml/{name}/out/log").read_text() == "once\n"

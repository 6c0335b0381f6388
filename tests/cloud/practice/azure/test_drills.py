"""What the clouds charge for: interruptions, refusals and slow starts, on demand."""

from __future__ import annotations

import time

from cloud.practice.azure.addresses import WORKSPACE_ID
from tests.cloud.practice.azure.test_commands import STATES
from tests.cloud.practice.azure.workspace import Workspace

LOW_PRIORITY = f"{WORKSPACE_ID}/computes/low-priority-cluster"
RESUMES = "if [ -f ${{outputs.out}}/mark ]; then echo resumed; else touch ${{outputs.out}}/mark; sleep 30; fi"
OUT = {"out": {"jobOutputType": "uri_folder"}}


def test_a_preempted_low_priority_job_starts_again_and_finds_its_outputs(workspace: Workspace) -> None:
    workspace.arm("spot-interruption", match="preempted", seconds=0.5)
    name = workspace.submit(workspace.command(RESUMES, computeId=LOW_PRIORITY, outputs=OUT), "preempted")
    assert workspace.end(name)["status"] == "Completed"
    assert workspace.states(name) == [*STATES[:6], "Queued", "Provisioning", "Starting", "Running", "Finalizing", "Completed"]
    assert "resumed" in workspace.log(name)


def test_a_spot_tier_is_preempted_as_well(workspace: Workspace) -> None:
    workspace.arm("spot-interruption", match="spot-tier", seconds=0.5)
    name = workspace.submit(workspace.command(RESUMES, computeId=None, queueSettings={"jobTier": "Spot"}, outputs=OUT), "spot-tier")
    assert workspace.end(name)["status"] == "Completed"
    assert workspace.states(name).count("Running") == 2


def test_a_dedicated_job_is_not_preempted(workspace: Workspace) -> None:
    workspace.arm("spot-interruption", match="dedicated", seconds=0)
    name = workspace.submit(workspace.command("sleep 0.5"), "dedicated")
    assert workspace.end(name)["status"] == "Completed"
    assert workspace.states(name).count("Running") == 1


def test_a_lost_host_fails_the_job(workspace: Workspace) -> None:
    workspace.arm("host-failure", match="lost-host", seconds=0.5)
    shape = {"distribution": {"distributionType": "PyTorch"}, "resources": {"instanceCount": 2}}
    name = workspace.submit(workspace.command("sleep 30", **shape), "lost-host")
    job = workspace.end(name)
    assert (job["status"], job["error"]["code"]) == ("Failed", "NodeFailure")


def test_image_pull_fails_the_job(workspace: Workspace) -> None:
    workspace.arm("image-pull", match="no-image")
    name = workspace.submit(workspace.command("true"), "no-image")
    assert workspace.end(name)["error"]["code"] == "ImagePullFailure"


def test_slow_start_waits_in_the_queue(workspace: Workspace) -> None:
    workspace.arm("slow-start", match="slow", seconds=1)
    started = time.monotonic()
    name = workspace.submit(workspace.command("true"), "slow")
    assert workspace.job(name)["status"] in ("NotStarted", "Queued")
    workspace.end(name)
    assert time.monotonic() - started > 1


def test_quota_and_access_are_refusals_that_leave_no_job(workspace: Workspace) -> None:
    for kind, code, error in (("quota", 409, "QuotaExceeded"), ("access-denied", 403, "AuthorizationFailed")):
        workspace.arm(kind, match="refused")
        properties = workspace.command("true")
        answer = workspace.call("PUT", "jobs/refused", {"properties": properties}, code)
        assert answer["error"]["code"] == error
        workspace.call("GET", "jobs/refused", code=404)


def test_throttling_says_when_to_come_back(workspace: Workspace) -> None:
    properties = workspace.command("true")
    workspace.arm("throttle", match="hurry", times=2)
    for _ in range(2):
        answer = workspace.http.put(f"{WORKSPACE_ID}/jobs/hurry", json={"properties": properties})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert answer.json()["error"]["code"] == "TooManyRequests"
    workspace.end(workspace.submit(properties, "hurry"))

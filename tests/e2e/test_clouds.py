"""The tiny pipeline whole on both practice clouds: processing, training on two hosts, registry, endpoint, answers. With the real engines."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.e2e.conftest import Place, wait_until
from tests.practice import PracticeService

FILE = "tiny/pipeline.yaml"
KINDS = {  # step -> what its handle contains
    "sagemaker": {"prepare": "/processing/", "fit": "/training/", "judge": "/processing/", "answer": "/endpoint/tiny"},
    "azureml": {"prepare": "/practice/practice/practice/", "fit": "-fit", "judge": "-judge", "answer": "/tiny/v1-"},
}


@pytest.mark.parametrize("cloud", list(KINDS))
def test_a_run_on_a_cloud_goes_all_the_way(place: Place, practice: PracticeService, cloud: str) -> None:
    done = place.run("run", FILE, "--on", cloud, limit=600)
    assert done.returncode == 0, done.stderr + done.stdout
    record = place.newest_run()
    assert {name: step["state"] for name, step in record["steps"].items()} == dict.fromkeys(record["steps"], "Succeeded")
    assert (record["model_version"], record["verdict"]["champion"]) == ("1", True)
    for step, part in KINDS[cloud].items():
        assert record["steps"][step]["handle"].startswith(f"{cloud}://practice/")
        assert part in record["steps"][step]["handle"]
    answer = record["steps"]["answer"]["summary"]
    assert answer["rows_compared"] > 100
    assert answer["max_difference"] <= 1e-5
    _look_at(place, record["steps"]["fit"]["handle"])
    _again(place, cloud, record)
    _take_down(place, record["steps"]["answer"]["handle"])


def _look_at(place: Place, handle: str) -> None:
    """From another process, with nothing but the handle."""
    assert place.json("status", handle)["state"] == "Succeeded"
    logs = place.run("logs", handle)
    assert logs.returncode == 0
    told = [line for line in logs.stdout.splitlines() if '"validation_loss"' in line]
    assert told, logs.stdout[-2000:]
    assert len(told) == len(set(told))
    hosts = dict(re.findall(r"\(ip=([0-9.]+), pid=\d+\) world_rank=(\d)", logs.stdout))
    assert sorted(hosts.values()) == ["0", "1"], hosts  # a worker on each host


def _again(place: Place, cloud: str, first: dict[str, Any]) -> None:
    """What is unchanged is neither run nor registered again."""
    done = place.run("run", FILE, "--on", cloud, limit=300)
    assert done.returncode == 0, done.stderr
    record = place.newest_run()
    assert record["run"] != first["run"]
    assert [name for name, step in record["steps"].items() if not step["reused"]] == ["answer"]
    assert record["model_version"] == "1"


def _take_down(place: Place, handle: str) -> None:
    """An endpoint costs for as long as it exists: stop deletes it."""
    assert place.run("stop", handle).returncode == 0
    wait_until(lambda: place.json("status", handle)["state"] == "Unknown", 60)
    assert place.run("stop", handle).returncode == 0

"""templates/tests: `helm test`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.helm import chart


def urls(values: chart.Object = {}) -> list[str]:  # noqa: B006
    return chart.find(chart.render(values), "Pod")["spec"]["containers"][0]["args"][1:]  # type: ignore[no-any-return]


def test_should_ask_what_is_there() -> None:
    assert urls() == ["http://seatrial-serve-svc:8000/v2/health/live", "http://seatrial-mlflow:5000/health"]
    assert urls({"rayService": {"enabled": False}}) == ["http://seatrial-mlflow:5000/health"]
    assert urls({"rayCluster": {"enabled": True}})[-1] == "http://seatrial-ray-head-svc:8265/api/gcs_healthz"


def test_should_be_helms_hook_and_go_when_it_has_passed() -> None:
    annotations = chart.find(chart.render(), "Pod")["metadata"]["annotations"]
    assert annotations == {"helm.sh/hook": "test", "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded"}


def test_should_not_be_there_if_there_is_nothing_to_ask() -> None:
    assert not chart.names(chart.render({"rayService": {"enabled": False}, "mlflow": {"enabled": False}}), "Pod")


@pytest.fixture
def program() -> str:
    return str(chart.find(chart.render(), "Pod")["spec"]["containers"][0]["args"][0])


def test_the_program_waits_until_all_answer(program: str, answering: Callable[..., str]) -> None:
    url = answering(503, 503, 200)
    answer = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, timeout=30, check=False)
    assert (answer.returncode, answer.stdout) == (0, f"{url}: 200\n")


def test_the_program_says_what_it_heard_last(program: str, answering: Callable[..., str]) -> None:
    url = answering(503)
    impatient = program.replace("+ 240", "+ 0")
    answer = subprocess.run([sys.executable, "-c", impatient, url], capture_output=True, text=True, timeout=30, check=False)
    assert answer.returncode == 1
    assert "503" in answer.stderr

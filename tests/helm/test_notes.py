"""templates/NOTES.txt: what to do next."""

from __future__ import annotations

import pytest

from tests.helm import chart


def notes(values: chart.Object = {}, *apis: str) -> str:  # noqa: B006
    """As `helm install` prints them; a dry run on the client speaks to no cluster."""
    served = [part for api in apis for part in ("--api-versions", api)]
    answer = chart.helm("install", "seatrial", str(chart.CHART), "--namespace", "seatrial", "--dry-run=client", *served, values=values)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.split("NOTES:")[1]


def test_should_say_how_to_run_and_how_to_look() -> None:
    said = notes()
    for command in (
        "helm test seatrial",
        "seatrial run examples/flights/pipeline.yaml --on kubernetes",
        "port-forward service/seatrial-serve-svc",
        "port-forward service/seatrial-mlflow",
    ):
        assert command in said
    assert 'store: "pvc://seatrial-data"' in said
    assert "tracking_uri" not in said, "job files expect it anyway"


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"ingress": {"enabled": True, "host": "a.example"}}, "https://a.example/v2/health/ready"),
        ({"rayService": {"nodePort": 30800}}, ":30800/v2/health/ready"),
        ({"rayCluster": {"enabled": True}}, "get secret seatrial-ray"),
        ({"fullnameOverride": "second"}, "tracking_uri: http://second-mlflow:5000"),
        ({"queue": "team"}, "queue: team"),
    ],
)
def test_should_say_more_if_there_is_more(values: chart.Object, line: str) -> None:
    assert line in notes(values)
    assert line not in notes()


def test_should_warn_if_the_operator_is_not_there() -> None:
    assert "KubeRay operator" in notes()

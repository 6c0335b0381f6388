"""What is made from other files is current, and every value is documented, used, and closed to strangers."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.helm import chart

SCRAPES = Path(__file__).parent / "scrapes"


def tool(name: str) -> ModuleType:
    """A script beside the chart: that folder is no package, because `helm` is not ours to name one."""
    spec = importlib.util.spec_from_file_location(f"seatrial_{name}", chart.CHART.parent / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


DOCS, DASHBOARDS = tool("chart_docs"), tool("dashboards")
KEYS = list(DOCS.leaves(DOCS.keys((chart.CHART / "values.yaml").read_text())))
TEMPLATES = "\n".join(path.read_text() for path in sorted((chart.CHART / "templates").rglob("*")) if path.is_file())


def test_schema_and_readme_are_current() -> None:
    assert DOCS.stale() == [], "run make chart-docs"


@pytest.mark.parametrize("name", DASHBOARDS.DASHBOARDS)
def test_dashboards_are_current(name: str) -> None:
    assert (DASHBOARDS.FOLDER / f"{name}.json").read_text() == json.dumps(DASHBOARDS.dashboard(name), indent=2) + "\n", "run make chart-docs"


@pytest.mark.parametrize("key", KEYS, ids=lambda key: ".".join(key.path))
def test_every_value_is_described_and_used(key: object) -> None:
    path = key.path  # type: ignore[attr-defined]
    assert key.description.endswith((".", ".)")), "a sentence above the key"  # type: ignore[attr-defined]
    assert re.search(rf"\.{re.escape(path[-1])}\b", TEMPLATES), "no template reads it"


@pytest.mark.parametrize("name", DASHBOARDS.DASHBOARDS)
def test_a_panel_asks_only_for_metrics_and_labels_that_were_seen(name: str) -> None:
    seen = dict(line.partition(" ")[::2] for path in SCRAPES.glob("*.txt") for line in path.read_text().splitlines() if not line.startswith("#"))
    for _, _, legend, query in DASHBOARDS.DASHBOARDS[name][1]:
        asked = re.findall(r"\b(?:ray|haproxy|metrics)_\w+", re.sub(r"(by \([^)]*\)|\{[^}]*\})", "", query))
        assert asked, query
        for metric in asked:
            assert metric in seen, query
            labels = set(re.findall(r"\{\{(\w+)\}\}", legend)) | set(re.findall(r"(\w+)=\"", query)) - {"le"}
            assert labels - {"instance"} <= set(seen[metric].split(",")), "`instance` is Prometheus' own"


def test_a_key_that_nobody_knows_is_refused_with_its_name() -> None:
    assert "rayservice" in chart.refusal({"rayservice": {"enabled": False}})
    assert "replica" in chart.refusal({"rayService": {"replica": 2}})
    assert "cpus" in chart.refusal({"mlflow": {"resources": {"cpus": 1, "requests": {}, "limits": {}}}})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"storage": {"type": "nfs"}}, "storage/type"),
        ({"storage": {"s3": {"uri": "https://bucket"}}}, "storage/s3/uri"),
        ({"storage": {"claim": {"accessModes": ["Everything"]}}}, "storage/claim/accessModes"),
        ({"images": {"pullPolicy": "Sometimes"}}, "images/pullPolicy"),
        ({"rayService": {"workers": 0}}, "rayService/workers"),
        ({"rayService": {"nodePort": 8000}}, "rayService/nodePort"),
        ({"fullnameOverride": "Sea Trial"}, "fullnameOverride"),
        ({"networkPolicy": {"dns": []}}, "networkPolicy/dns"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(values: chart.Object, said: str) -> None:
    assert said in chart.refusal(values)

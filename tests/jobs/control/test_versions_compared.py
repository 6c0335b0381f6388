"""Two versions side by side, from bundles as they are registered."""

from __future__ import annotations

from pathlib import Path

from jobs.control.registry_reader import ModelVersion
from jobs.control.versions_compared import compare
from tests import factories


def test_metrics_are_shown_and_of_the_rest_what_differs(tmp_path: Path) -> None:
    factories.make_dataset(tmp_path / "data", 600)
    made = [factories.make_bundle(tmp_path / run, tmp_path / "data", skill=skill, run=run) for run, skill in (("one", 1.0), ("two", 0.5))]
    tags = {"seatrial.code": "c0de" * 16}
    versions = [ModelVersion("parcels", str(n), str(tmp_path / b.run), b.fingerprint, tags=tags) for n, b in enumerate(made, 1)]
    found = compare(versions[0], versions[1])
    assert (found.left, found.right) == ("parcels/1", "parcels/2")
    lines = {(one.kind, one.name): (one.left, one.right) for one in found.differences}
    assert [name for kind, name in lines if kind == "metric"] == list(made[0].metrics)
    assert lines["metric", "roc_auc"][0].startswith(f"{made[0].metrics['roc_auc'].value:.4f} (")
    assert lines["made with", "params.skill"] == ("1.0", "0.5")
    assert lines["made with", "run"] == ("one", "two")
    assert not {name for kind, name in lines if kind != "metric"} & {"dataset", "task", "code", "kind", "color"}
    assert {one.kind for one in compare(versions[0], versions[0]).differences} == {"metric"}

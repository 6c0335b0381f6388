"""A table of the user's own becomes a model that answers: the guide's commands, one after the other."""

from __future__ import annotations

import csv
import json
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Place, free_port

GUIDE = ROOT / "docs" / "guides" / "bring-your-own.md"


def write_houses(path: Path, rows: int = 800) -> None:
    """The guide's table: its header, and prices that follow from size, district and age."""
    chance = random.Random(3)
    districts = {"harbour": 90, "centre": 140, "hills": 60}
    with path.open("w", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(["house_id", "district", "square_metres", "built", "garden", "price"])
        for number in range(rows):
            district, size, built, garden = chance.choice(list(districts)), chance.randint(40, 220), chance.randint(1900, 2023), chance.random() < 0.4
            price = districts[district] + 2.5 * size + 0.4 * (built - 1960) + 25 * garden + chance.gauss(0, 20)
            lines.writerow([f"h{number:05}", district, size, "" if chance.random() < 0.05 else built, str(garden).lower(), f"{price:.1f}"])


def commands() -> list[list[str]]:
    """Every ``seatrial`` command of the guide's console blocks, in order."""
    blocks = re.findall(r"```console\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines() if line.startswith("seatrial ")]


def test_the_guide_leads_from_a_csv_to_a_served_model(tmp_path: Path) -> None:
    place = Place(tmp_path, free_port())
    write_houses(tmp_path / "houses.csv")
    init, run, show, down = commands()
    assert (init[0], run[0], show[:2], down[:2]) == ("init", "run", ["models", "show"], ["serve", "down"])
    made = place.run(*init)
    assert made.returncode == 0, made.stderr
    assert "regression: price from district, square_metres, built, garden" in made.stdout
    try:
        answer = place.run(*run, "--set", f"targets.local.port={place.port}")
        assert answer.returncode == 0, answer.stderr
        assert "rmse" in answer.stdout
        row = {"district": "centre", "square_metres": 120, "built": 1990, "garden": 1}
        assert json.dumps(row) in GUIDE.read_text()
        (prediction,) = place.post("/predict", row)[0]["predictions"]
        assert prediction["value"] == pytest.approx(140 + 300 + 12 + 25, abs=60)
        shown = place.run(*show)
        assert "mae" in shown.stdout, shown.stderr
    finally:
        assert place.run(*down).returncode == 0


def test_a_made_up_workload_keeps_to_the_rules(tmp_path: Path) -> None:
    """Without a table of one's own: it is formatted, every target can plan it, and nothing is overwritten."""
    place = Place(tmp_path, free_port())
    made = place.run("init", "parcels")
    assert made.returncode == 0, made.stderr
    assert "binary: late from region, weight, items, express; train, validation and test in order of sent_at" in made.stdout
    for arguments in (["check", "--select", "E,F,I,B,UP"], ["format", "--check"]):
        rooms = f'src = ["{ROOT}", "parcels"]'  # as in the clone: the rooms are no third party
        argv = [sys.executable, "-m", "ruff", *arguments, "--config", str(ROOT / "pyproject.toml"), "--config", rooms, "parcels"]
        found = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stdout
    planned = place.run("plan", "parcels/pipeline.yaml", "--on", "all")
    assert planned.returncode == 0, planned.stderr
    again = place.run("init", "parcels")
    assert again.returncode == 2
    assert "there already" in again.stderr

"""Writes the tiny workload's raw table."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

CLUSTERS = ["north", "east", "south"]
_START, _DAYS = datetime(2024, 1, 1), 182


def write_points(folder: Path, rows: int = 4000, seed: int = 0) -> Path:
    """``points.csv``: a hit is likely near the middle, likelier in the north; always the same for a seed."""
    random = np.random.default_rng(seed)
    x, y = random.normal(0, 2, (2, rows)).clip(-9, 9).round(4)
    cluster = random.choice(len(CLUSTERS), rows)
    chance = 1 / (1 + np.exp(np.hypot(x, y) * 1.5 - 3 - (cluster == 0)))
    seconds = np.sort(random.integers(0, _DAYS * 86_400, rows))
    table = pa.table(
        {
            "id": np.arange(rows),
            "at": [f"{_START + timedelta(seconds=int(second)):%Y-%m-%d %H:%M:%S}" for second in seconds],
            "x": x,
            "y": pa.array(y, mask=random.random(rows) < 0.1),
            "cluster": pa.array([CLUSTERS[i] for i in cluster], mask=random.random(rows) < 0.05),
            "hit": (random.random(rows) < chance).astype(np.int64),
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    pacsv.write_csv(table, folder / "points.csv", pacsv.WriteOptions(quoting_style="none"))
    return folder / "points.csv"

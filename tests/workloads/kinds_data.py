"""The parcels of ``tests/factories.py`` with another question: which class of delivery, how many days, or what a note says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.contracts import dataset as datasets
from jobs.contracts import storage
from jobs.contracts.dataset import Column, DataFile, Manifest, Role, Statistics
from tests import factories

CLASSES = ("fast", "normal", "slow")
NOTES = {0: ["Leave at the door", "thank you", "ring twice"], 1: ["address unclear", "Nobody home!", "call before 5"]}


def make_dataset(folder: Path, label: str, rows: int = 2000) -> Manifest:
    """``label``: "class" (three texts), "days" (a number), or "late" with a free text ``note`` that tells most of it."""
    base = folder.parent / f"{folder.name}-base"
    manifest = factories.make_dataset(base, rows)
    random = np.random.default_rng(1)
    parts = {part: _changed(datasets.read_part(str(base), manifest, part), label, random) for part in datasets.PARTS}
    columns = [column for column in manifest.columns if column.role != Role.LABEL]
    columns += _added(label, parts["train"])
    files = tuple(_write(folder, part, table) for part, table in parts.items())
    changed = manifest.model_copy(update={"columns": tuple(columns), "files": files, "fingerprint": manifest.fingerprint[:-4] + label[:4]})
    datasets.publish_manifest(str(folder), changed)
    return changed


def _changed(table: pa.Table, label: str, random: np.random.Generator) -> pa.Table:
    chance = factories.probability(table).astype(np.float64)
    if label == "late":
        late = table["late"].to_numpy()
        told = np.where(random.random(len(late)) < 0.9, late, 1 - late)
        texts = [NOTES[int(kind)][random.integers(3)] if random.random() < 0.95 else None for kind in told]
        return table.append_column("note", pa.array(texts, pa.string()))
    days = 10 * chance + random.normal(0, 0.5, len(chance))
    values = pa.array(days) if label == "days" else pa.array([CLASSES[int(place)] for place in np.digitize(days, [2.0, 5.0])])
    return table.drop_columns(["late"]).append_column(label, values)


def _added(label: str, train: pa.Table) -> list[Column]:
    if label == "days":
        known = pc.drop_null(train[label]).to_numpy()
        facts = Statistics(count=len(known), nulls=0, mean=float(known.mean()), std=float(known.std()), min=float(known.min()), max=float(known.max()))
        return [Column(name=label, type="double", role=Role.LABEL, unit="d", description="days until it arrived", statistics=facts)]
    if label == "class":
        counts = {entry["values"]: entry["counts"] for entry in train[label].value_counts().to_pylist()}
        facts = Statistics(count=train.num_rows, nulls=0, categories=counts)
        return [Column(name=label, type="string", role=Role.LABEL, description="how it was delivered", statistics=facts)]
    words = dict.fromkeys(
        ["leave", "at", "the", "door", "thank", "you", "ring", "twice", "address", "unclear", "nobody", "home", "!", "call", "before", "0"], 10
    )
    note = Statistics(count=train.num_rows, nulls=train["note"].null_count, categories=words)
    late = Statistics(count=train.num_rows, nulls=0, mean=float(train["late"].to_numpy().mean()))
    return [
        Column(name="note", type="string", role=Role.FEATURE, description="what the driver wrote", text=True, statistics=note),
        Column(name="late", type="int64", role=Role.LABEL, description="arrived after the promised day", statistics=late),
    ]


def _write(folder: Path, part: str, table: pa.Table) -> DataFile:
    path = folder / part / "part-0.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return DataFile(path=f"{part}/part-0.parquet", part=part, rows=len(table), bytes=path.stat().st_size, sha256=storage.sha256(str(path)))

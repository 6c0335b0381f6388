"""The ETL with its dataset, and then its raw files too, in an object store: the same dataset as on a disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from jobs.contracts import dataset as datasets
from jobs.contracts import storage
from jobs.contracts.dataset import PARTS
from tests import object_store
from tests.spark_etl.conftest import Etl
from tests.workloads.tiny_data import write_points

PLAIN_HTTP = {"AWS_ALLOW_HTTP": "true"}  # Sail refuses it otherwise; a store of one's own cluster often speaks nothing else


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with object_store.bucket() as uri:
        yield uri


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_points(tmp_path / "raw", 5000, 3).parent


def everything(uri: str) -> pa.Table:
    manifest = datasets.verify(uri)
    return pa.concat_tables([datasets.read_part(uri, manifest, part) for part in PARTS])


def publish(etl: Etl, raw: str, final: str) -> str:
    done = etl.run(raw, environment={**PLAIN_HTTP, "SEATRIAL_OUTPUT_ROWS": final})
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_dataset_in_the_store_is_the_one_on_disk(etl: Etl, raw: Path, bucket: str) -> None:
    etl.here(raw)
    final = f"{bucket}/datasets/rows/f1"
    publish(etl, str(raw), final)
    assert everything(final).equals(everything(str(etl.final)))
    assert datasets.load_manifest(final).columns == datasets.load_manifest(str(etl.final)).columns
    left = {name.split("/")[0] for name in object_store.names(f"{bucket}/datasets/rows")}
    assert left == {"f1"}, "the working folder stayed behind"
    assert "features" not in publish(etl, str(raw), final), "an unchanged dataset was made again"


def test_raw_files_may_lie_in_the_store_and_their_rejects_go_there_too(etl: Etl, raw: Path, bucket: str) -> None:
    with (raw / "points.csv").open("a") as file:
        file.write("90001,2024-03-01 00:00:00,99,0,north,1\n")  # x beyond its range
    storage.copy_folder(str(raw), f"{bucket}/raw")
    final = f"{bucket}/datasets/other/f1"
    publish(etl, f"{bucket}/raw", final)
    manifest = datasets.verify(final)
    assert manifest.inputs == {"points.csv": storage.sha256(str(raw / "points.csv"))}
    assert manifest.rejected == {"points.x_in_range": 1}
    (rejects,) = object_store.names(f"{final}/quarantine")
    assert rejects.startswith("points/")

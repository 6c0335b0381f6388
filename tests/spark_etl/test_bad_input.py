"""What is wrong with raw tables, workloads or the machine: one clear message each, and what was good is kept."""

from __future__ import annotations

import os
import resource
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from jobs.contracts import dataset as datasets
from jobs.contracts.errors import InputError, RunError, SetupError, SpecError, StepFailed
from jobs.contracts.workload import Table
from spark_etl import raw as raw_files
from spark_etl.engines import INSTALL_JAVA, check_java, open_session
from tests.spark_etl.conftest import Etl
from tests.workloads.tiny_data import write_points

HEADER = "id,at,x,y,cluster,hit"


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    """A points table with good rows in every part, and these."""
    folder.mkdir(parents=True, exist_ok=True)
    good = [f"{i},2024-{month:02d}-10 08:00:00,0.5,NA,north,{i % 2}" for i, month in enumerate((1, 2, 3, 5, 6))]
    (folder / "points.csv").write_text("\n".join([header, *good, *rows]) + "\n")
    return folder


def rejected_rows(etl: Etl, table: str = "points") -> list[dict[str, Any]]:
    return pq.read_table(etl.final / "quarantine" / table).to_pylist()


def test_a_missing_table_is_named(etl: Etl, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'points' has no file") as caught:
        etl.here(tmp_path)
    assert caught.value.where.endswith("points.csv")
    assert etl.working_folders() == []


def test_a_renamed_column_is_named_with_its_likely_new_name(etl: Etl, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'cluster' is missing; was it renamed to 'clusters'"):
        etl.here(write(tmp_path, header="id,at,x,y,clusters,hit"))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "no header"),
        ("id,at,x,y,cluster,hit,more", "'more' is not declared"),
        ("at,id,x,y,cluster,hit", "another order"),
        ("id,at,x,y,cluster", "'hit' is missing"),
    ],
)
def test_a_header_must_be_as_declared(header: str, message: str) -> None:
    table = Table("points", "points.csv", dict.fromkeys(HEADER.split(","), "string"))
    with pytest.raises(InputError, match=message):
        raw_files.check_header(table, header.split(",") if header else [], "points.csv")


def test_an_empty_file_is_an_error(etl: Etl, tmp_path: Path) -> None:
    (tmp_path / "points.csv").touch()
    with pytest.raises(InputError, match="no header"):
        etl.here(tmp_path)


def test_a_row_with_fewer_fields_is_an_error(etl: Etl, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another number of fields") as caught:
        etl.here(write(tmp_path, "5,2024-01-01 00:00:00,0.5"))
    assert caught.value.where.endswith("points.csv")
    assert not etl.final.exists()
    assert etl.working_folders() == []


def test_a_truncated_archive_is_an_error(tmp_path: Path) -> None:
    source = write_points(tmp_path, 20_000)
    with zipfile.ZipFile(tmp_path / "points.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(source, "points.csv")
    packed = tmp_path / "points.csv.zip"
    table = Table("points", "points.csv.zip", dict.fromkeys(HEADER.split(","), "string"))
    assert raw_files.prepare(str(tmp_path), [table], str(tmp_path / "work"))["points"].path.endswith("points.csv")
    packed.write_bytes(packed.read_bytes()[:-2000])
    with pytest.raises(InputError, match="archive is broken"):
        raw_files.prepare(str(tmp_path), [table], str(tmp_path / "work"))


def test_a_damaged_archive_is_an_error(tmp_path: Path) -> None:
    source = write_points(tmp_path, 20_000)
    packed = tmp_path / "points.csv.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(source, "points.csv")
    content = bytearray(packed.read_bytes())
    content[5000:5100] = bytes(100)
    packed.write_bytes(content)
    table = Table("points", "points.csv.zip", dict.fromkeys(HEADER.split(","), "string"))
    with pytest.raises(InputError, match="archive is broken"):
        raw_files.prepare(str(tmp_path), [table], str(tmp_path / "work"))


def test_values_of_the_wrong_type_go_to_quarantine_as_they_were(etl: Etl, tmp_path: Path) -> None:
    result = etl.here(write(tmp_path, "5,2024-01-01 00:00:00,half,NA,north,1", "6,yesterday,0.5,NA,north,1", "7,2024-01-02 00:00:00,NA,1.5,NA,0"))
    assert result.summary["rejected"] == {"points.not_double:x": 1, "points.not_timestamp:at": 1}
    rows = {row["id"]: row for row in rejected_rows(etl)}
    assert rows["5"] == {"id": "5", "at": "2024-01-01 00:00:00", "x": "half", "y": None, "cluster": "north", "hit": "1", "reason": "not_double:x"}
    assert rows["6"]["at"] == "yesterday"
    assert sum(result.summary["rows"].values()) == 6  # a null is no wrong value


def test_rows_that_break_an_expectation_go_to_quarantine_with_its_name(etl: Etl, tmp_path: Path) -> None:
    result = etl.here(write(tmp_path, "5,2024-01-01 00:00:00,10.5,NA,north,1"))
    assert result.summary["rejected"] == {"points.x_in_range": 1}
    assert [(row["id"], row["reason"]) for row in rejected_rows(etl)] == [("5", "x_in_range")]


def test_later_duplicates_go_to_quarantine(etl: Etl, tmp_path: Path) -> None:
    result = etl.here(write(tmp_path, "0,2024-01-01 00:00:00,9,NA,north,1", "0,2024-01-01 00:00:00,8,NA,north,1"))
    assert result.summary["rejected"] == {"points.duplicate": 2}
    assert sorted(row["x"] for row in rejected_rows(etl)) == ["8", "9"]  # the first one, 0.5, stays
    assert sum(result.summary["rows"].values()) == 5


def test_rows_without_a_label_are_counted_and_kept_apart(etl: Etl, tmp_path: Path) -> None:
    result = etl.here(write(tmp_path, "5,2024-01-01 00:00:00,0.5,NA,north,NA"))
    assert result.summary["rejected"] == {"no_label": 1}
    assert pq.read_table(etl.final / "quarantine" / "no_label")["point"].to_pylist() == ["5"]
    datasets.verify(str(etl.final))


def test_no_row_to_train_on_is_an_error(etl: Etl, tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text(f"{HEADER}\n1,2024-06-10 08:00:00,0.5,NA,north,1\n")
    with pytest.raises(RunError, match="train part has no rows"):
        etl.here(tmp_path)
    assert not etl.final.exists()


def workload(folder: Path, old: str, new: str) -> Path:
    """The tiny workload with a mistake in it."""
    source = (Path(__file__).parents[1] / "workloads/tiny/tiny/features.py").read_text()
    assert old in source
    name = f"wrong_{abs(hash(new))}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(source.replace(old, new))
    return folder / f"{name}.py"


@pytest.mark.parametrize(
    ("old", "new", "kind", "message"),
    [
        ('.alias("radius")', '.alias("radios")', SpecError, "no column 'radius'"),
        ('F.col("id").cast("string")', 'F.lit("same")', RunError, "'point' is not unique"),
        ('F.col("id").cast("string")', 'F.lit(None).cast("string")', RunError, "'point' is null"),
        ('F.sqrt(F.col("x") *', 'F.sqrt(F.col("nothing") *', StepFailed, "nothing"),
        ("Role.LABEL", "Role.FEATURE", SpecError, "role label, found 0"),
    ],
)
def test_mistakes_of_a_workload_are_named(etl: Etl, tmp_path: Path, old: str, new: str, kind: type[Exception], message: str) -> None:
    module = workload(tmp_path / "code", old, new)
    wrong = Etl(etl.folder, module.parent, f"{module.stem}:build")
    with pytest.raises(kind, match=message):
        wrong.here(write(tmp_path / "raw"))
    assert not etl.final.exists()
    assert etl.working_folders() == []


def test_memory_that_is_no_size_is_an_error(etl: Etl, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="'much' is no size"):
        etl.here(write(tmp_path), resources={"memory": "much"})


def test_an_unknown_engine_is_an_error() -> None:
    with pytest.raises(SetupError, match="no engine 'flink'"), open_session("flink", cores=1):
        pass


def test_spark_without_java_names_the_command_that_installs_it(etl: Etl, tmp_path: Path) -> None:
    answer = etl.run(write(tmp_path / "raw"), "spark", environment={"PATH": "/nowhere", "JAVA_HOME": ""})
    assert answer.returncode == 2
    assert "Spark needs Java 17 and there is none" in answer.stderr
    assert INSTALL_JAVA in answer.stderr


def test_a_java_that_is_too_old_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SetupError, match="this is 11"):
        check_java()


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))


def test_a_file_that_may_not_grow_ends_the_step_and_publishes_nothing(etl: Etl, tmp_path: Path) -> None:
    answer = etl.run(write_points(tmp_path / "raw", 50_000).parent, preexec_fn=limited)
    assert answer.returncode == 1, answer.stderr
    assert "larger than this process may write" in answer.stderr
    assert not etl.final.exists()
    assert etl.working_folders() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False).returncode:
        pytest.skip("a small disk can be mounted only by root: run the tests with sudo")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_ends_the_step_and_keeps_what_was_good(etl: Etl, tmp_path: Path, small_disk: Path) -> None:
    full = Etl(small_disk)
    full.here(write(tmp_path / "small"))
    kept = full.final.rename(full.final.with_name("f0"))
    answer = full.run(write_points(tmp_path / "raw", 50_000).parent)
    assert answer.returncode == 1, answer.stderr
    assert "the disk is full" in answer.stderr
    assert not full.final.exists()
    assert full.working_folders() == []
    datasets.verify(str(kept))


def test_messages_of_the_engine_reach_the_user_as_one_line(etl: Etl, tmp_path: Path) -> None:
    module = workload(tmp_path / "code", 'F.sqrt(F.col("x") *', 'F.sqrt(F.col("nothing") *')
    answer = Etl(etl.folder, module.parent, f"{module.stem}:build").run(write(tmp_path / "raw"))
    assert answer.returncode == 1
    assert "computing the features failed" in answer.stderr.splitlines()[-2]

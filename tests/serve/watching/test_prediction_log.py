"""The prediction log: what it keeps, what it never keeps, and that it stays bounded."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.contracts.errors import InputError, SetupError
from serve.model import LoadedModel
from serve.watching import rows as layout
from serve.watching.prediction_log import PredictionLog
from serve.watching.settings import LogSettings, from_environment
from tests.serve.watching.conftest import batch, with_private


def open_log(folder: Path, replica: str = "a", **settings: Any) -> PredictionLog:
    return PredictionLog(LogSettings(folder=str(folder), **settings), "parcels", replica)


def logged(folder: Path) -> pa.Table:
    return pa.concat_tables(layout.read(layout.model_folder(folder, "parcels")))


def test_what_was_asked_and_answered_is_kept(model: LoadedModel, tmp_path: Path) -> None:
    log, given = open_log(tmp_path), batch(model, 50)
    log.see(given, "champion")
    assert list(tmp_path.rglob("*")) == []  # not before it is time
    log.close()
    table = logged(tmp_path)
    assert table["request_id"].to_pylist() == given.ids
    assert table["probability"].to_pylist() == pytest.approx(given.probabilities.tolist())
    assert table["features"].to_pylist() == pa.table(given.columns).to_pylist()
    assert set(table["model_version"].to_pylist()) == {"1"}
    assert set(table["bundle"].to_pylist()) == {model.fingerprint}
    assert table["label"].to_pylist() == [int(value >= model.bundle.threshold) for value in given.probabilities]
    assert abs(table["time"][0].as_py().timestamp() - time.time()) < 60


def test_a_private_column_is_written_nowhere(model: LoadedModel, tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.see(batch(with_private(model, "color"), 50), "champion")
    log.close()
    assert set(logged(tmp_path)["features"].type.names) == {"size", "weight"}
    (file,) = layout.files(tmp_path / "parcels")
    assert not any(color in file.read_bytes() for color in (b"green", b"black", b"color"))


def test_a_file_is_made_when_it_is_full_or_old(model: LoadedModel, tmp_path: Path) -> None:
    log = open_log(tmp_path, rows=100, seconds=0.05)
    log.see(batch(model, 60), "champion")
    log.see(batch(model, 60, first=60), "champion")
    assert (logged(tmp_path).num_rows, log.dropped) == (100, 20)  # what one file cannot hold is dropped, not waited for
    log.see(batch(model, 5), "champion")
    log.tick()
    assert logged(tmp_path).num_rows == 100
    time.sleep(0.06)
    log.tick()
    assert (logged(tmp_path).num_rows, len(layout.files(tmp_path / "parcels"))) == (105, 2)


def test_the_oldest_files_go(model: LoadedModel, tmp_path: Path) -> None:
    logs = [open_log(tmp_path, replica) for replica in "ab"]
    for log in logs:
        log._settings = log._settings.model_copy(update={"bytes": 40_000})
    for number in range(20):
        logs[number % 2].see(batch(model, 100, first=100 * number), "champion")
        logs[number % 2].flush()
    found = layout.files(tmp_path / "parcels")
    assert 20_000 < sum(path.stat().st_size for path in found) <= 40_000
    assert logged(tmp_path)["request_id"][-1].as_py() == "r1999"


def test_a_sample_takes_whole_requests_in_every_version(model: LoadedModel, tmp_path: Path) -> None:
    log = open_log(tmp_path, sample=0.2)
    for role in ("champion", "shadow"):
        log.see(batch(model, 2_000), role)
    log.close()
    table = logged(tmp_path)
    both = [set(table.filter(pa.compute.equal(table["role"], role))["request_id"].to_pylist()) for role in ("champion", "shadow")]
    assert both[0] == both[1]
    assert 320 < len(both[0]) < 480


def test_a_full_disk_costs_rows_and_nothing_else(model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = open_log(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(pq, "write_table", full)
        log.see(batch(model, 10), "champion")
        log.flush()
    assert (log.state()["prediction_log"]["dropped"], "No space" in log.state()["prediction_log"]["problem"]) == (10, True)
    log.see(batch(model, 10), "champion")
    log.close()
    assert (logged(tmp_path).num_rows, log.state()["prediction_log"]["problem"]) == (10, "")


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, "{root}")
from jobs.control.registry_reader import ModelVersion
from serve.model import LoadedModel
from tests.serve.watching.conftest import batch
from tests.serve.watching.test_prediction_log import open_log
model = LoadedModel(ModelVersion("parcels", "1", "{bundle}", "{fingerprint}"))
log = open_log(Path("{folder}"), rows=1_000_000)
given = batch(model, 2_000)
while True:
    for _ in range(20):
        log.see(given, "champion")
    log.flush()
    print("wrote", flush=True)
"""


def test_a_kill_leaves_only_whole_files(model: LoadedModel, tmp_path: Path, repository: Path) -> None:
    program = WRITER.format(root=repository, bundle=model.uri, fingerprint=model.fingerprint, folder=tmp_path)
    for delay in (0.0, 0.004, 0.011):
        child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=repository)
        assert child.stdout is not None
        assert child.stdout.readline() == b"wrote\n"
        time.sleep(delay)
        child.kill()
        child.wait()
        child.stdout.close()
    for path in layout.files(tmp_path / "parcels"):
        assert pq.read_table(path).num_rows == 40_000
    for path in (tmp_path / "parcels").glob(".*"):  # of a writer that was killed: it goes when it is old
        os.utime(path, (0, 0))
    log = open_log(tmp_path)
    log.see(batch(model, 1), "champion")
    log.close()
    assert not list((tmp_path / "parcels").glob(".*"))


def test_only_what_is_recent_is_read(model: LoadedModel, tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.see(batch(model, 5), "champion")
    log.flush()
    time.sleep(0.02)
    since = time.time()
    log.see(batch(model, 7), "champion")
    log.close()
    folder = layout.model_folder(tmp_path, "parcels")
    assert sum(table.num_rows for table in layout.read(folder, since=since)) == 7
    assert sum(table.num_rows for table in layout.read(folder)) == 12
    with pytest.raises(InputError, match="no prediction log"):
        list(layout.read(tmp_path / "nobody"))


def test_settings_come_from_the_environment() -> None:
    assert from_environment("sqlite:////home/mlflow.db", {}).folder == "/home/predictions"
    assert from_environment("http://mlflow", {}).folder == ""
    assert from_environment("sqlite:////home/mlflow.db", {"SEATRIAL_PREDICTIONS": "off"}).folder == ""
    found = from_environment("http://mlflow", {"SEATRIAL_PREDICTIONS": "/log", "SEATRIAL_PREDICTIONS_SAMPLE": "0.1"})
    assert (found.folder, found.sample) == ("/log", 0.1)
    with pytest.raises(SetupError, match="SEATRIAL_PREDICTIONS_SAMPLE"):
        from_environment("http://mlflow", {"SEATRIAL_PREDICTIONS_SAMPLE": "2"})

"""What MLflow says when its store fails."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.pool import Pool

from jobs.contracts.errors import StorageError
from jobs.control.mlflow_client import open_client, translate


def test_a_store_that_fails_is_one_sentence_and_no_traceback(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = open_client(uri)
    run = client.create_run(client.create_experiment("tiny")).info.run_id
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("DROP TABLE metrics")
    database.close()
    with pytest.raises(StorageError, match=r"the model registry refused: no such table: metrics\n") as failed, translate(uri):
        client.log_metric(run, "loss", 1.0, int(time.time() * 1000))
    assert "\n" not in failed.value.what
    assert capfd.readouterr().err == ""


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = open_client(uri)
    run = client.create_run(client.create_experiment("tiny")).info.run_id

    def write_much() -> None:
        for number in range(200):
            client.set_tag(run, f"tag{number}", "x" * 4_000)

    event.listen(Pool, "checkout", _allow_no_more_pages)
    try:
        with pytest.raises(StorageError, match="the disk is full") as failed, translate(uri):
            write_much()
    finally:
        event.remove(Pool, "checkout", _allow_no_more_pages)
    assert failed.value.where == str(tmp_path / "mlflow.db")


def _allow_no_more_pages(database: sqlite3.Connection, record: object, proxy: object) -> None:
    """What SQLite says then is what it says of a full disk."""
    database.execute("PRAGMA max_page_count = 1")

"""The two engines behind one DataFrame API: Sail in this process (no JVM), and Apache Spark (a JVM, local or a cluster's).

Both end with the ``with`` block. Everything listens on the loopback address only.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from jobs.contracts.errors import SetupError, missing_extra

SAIL, SPARK = "sail", "spark"
JAVA = 17  # the oldest that Spark 4 runs on
INSTALL_JAVA = "apt-get install openjdk-17-jre-headless (or use the engine sail, which needs no Java)"
LOOPBACK = "127.0.0.1"
ROW_GROUP = 65_536  # rows; what a training loader reads at once, and snappy, which costs a second less than zstd
_SAIL = {"RUST_LOG": "error", "SAIL_EXECUTION__BATCH_SIZE": "32768"}  # rows a batch: a tenth less work than with the default, 8192
WRITE_OPTIONS = {
    SAIL: {"compression": "snappy", "max_row_group_size": str(ROW_GROUP)},
    SPARK: {"compression": "snappy", "parquet.block.row.count.limit": str(ROW_GROUP)},
}
# Spark generates methods too large for the JVM to compile by default; interpreted, the widest joins take twice as long.
_JVM = "-XX:-DontCompileHugeMethods -XX:+UseParallelGC"
# Of a minute's work on small tables the optimising compiler would take a third, and be done when the work is.
_JVM_BRIEF = f"{_JVM} -XX:TieredStopAtLevel=1"
_CONNECT = "SPARK_CONNECT_MODE_ENABLED"
_SUBMITTED = "PYSPARK_GATEWAY_PORT"  # set by spark-submit, whose master and confs then hold
_DEFAULTS = "spark-defaults.conf"  # in SPARK_CONF_DIR; where it names a master, that and its confs hold


@contextmanager
def open_session(engine: str, *, cores: int, memory: str = "2g", brief: bool = False) -> Iterator[SparkSession]:
    """A session of ``engine`` on ``cores`` cores; ``memory`` is the JVM's heap, ``brief`` says that the work is a minute's.

    Errors: SetupError when the engine or Java is missing.
    """
    if engine == SAIL:
        with _sail(cores) as session:
            yield session
    elif engine == SPARK:
        with _spark(cores, memory, _JVM_BRIEF if brief else _JVM) as session:
            yield session
    else:
        raise SetupError(f"no engine {engine!r}", where="engine", hint=f"use {SAIL} or {SPARK}")


def in_order(engine: str, rows: DataFrame, cores: int, *columns: str) -> DataFrame:
    """``rows`` sorted by ``columns`` over all partitions.

    Spark looks at its rows twice to sort them all: once to find the boundaries. What a shuffle has written is read
    again; without one everything before the sort would be computed again.
    """
    return (rows.repartition(cores) if engine == SPARK else rows).orderBy(*columns)


@contextmanager
def _sail(cores: int) -> Iterator[SparkSession]:
    for name, value in _SAIL.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("SAIL_EXECUTION__DEFAULT_PARALLELISM", str(cores))
    if os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://"):
        os.environ.setdefault("AWS_ALLOW_HTTP", "true")  # a store of one's own, such as MinIO, without TLS
    try:
        from pysail.spark import SparkConnectServer
    except ModuleNotFoundError as error:
        raise missing_extra("pysail", "etl") from error
    server = SparkConnectServer(LOOPBACK, 0)
    server.start(background=True)
    try:
        _, port = server.listening_address
        with _connect_mode(True):
            session = SparkSession.builder.remote(f"sc://{LOOPBACK}:{port}").create()
            session.conf.set("spark.sql.session.timeZone", "UTC")
            try:
                yield session
            finally:
                with suppress(Exception):
                    session.stop()  # before the server: the client's own goodbye at exit would retry for minutes
    finally:
        server.stop()


@contextmanager
def _spark(cores: int, memory: str, jvm: str) -> Iterator[SparkSession]:
    check_java()
    builder = SparkSession.builder.appName("seatrial-etl")
    for name, value in _confs(cores).items():
        builder = builder.config(name, value)
    if not _is_placed():
        builder = (
            builder.master(f"local[{cores}]")
            .config("spark.driver.memory", memory)
            .config("spark.driver.extraJavaOptions", jvm)
            .config("spark.driver.bindAddress", LOOPBACK)
            .config("spark.driver.host", LOOPBACK)
        )
    logging.getLogger("py4j").setLevel(logging.CRITICAL)  # it logs a traceback for every interrupted call
    with _connect_mode(False):
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        try:
            yield session
        finally:
            with suppress(Exception):  # an interrupted JVM may be gone already
                session.stop()


def _is_placed() -> bool:
    """Whether somebody else has said where Spark runs: spark-submit, or the configuration of a cluster."""
    defaults = Path(os.environ.get("SPARK_CONF_DIR") or os.devnull) / _DEFAULTS
    return _SUBMITTED in os.environ or (defaults.is_file() and bool(re.search(r"^\s*spark\.master[\s=:]", defaults.read_text(), re.MULTILINE)))


@contextmanager
def _connect_mode(on: bool) -> Iterator[None]:
    """PySpark's functions ask this variable which kind of column to make; a Sail session sets it, also for children."""
    before = os.environ.pop(_CONNECT, None)
    if on:
        os.environ[_CONNECT] = "1"
    try:
        yield
    finally:
        os.environ.pop(_CONNECT, None)
        if before is not None:
            os.environ[_CONNECT] = before


def _confs(cores: int) -> dict[str, str]:
    return {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(cores),  # one wave; adaptive execution splits what is skewed
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.autoBroadcastJoinThreshold": "32MB",
        "spark.sql.constraintPropagation.enabled": "false",  # with many joins it costs more planning than its filters save
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # the default, INT96, is no type of Arrow's
        "spark.sql.csv.parser.columnPruning.enabled": "false",  # a row with a field missing must fail whatever is read of it
        "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
        "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
        "spark.log.level": "ERROR",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }


def check_java() -> str:
    """The Java that Spark will use.

    Errors: SetupError when there is none, or one too old, with the command that installs it.
    """
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if not java or not Path(java).exists():
        raise SetupError(f"Spark needs Java {JAVA} and there is none", where=java or "PATH", hint=INSTALL_JAVA)
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    found = re.search(r'version "(\d+)', answer)
    if not found or int(found[1]) < JAVA:
        raise SetupError(f"Spark needs Java {JAVA} and this is {found[1] if found else 'no Java'}", where=java, hint=INSTALL_JAVA)
    return java

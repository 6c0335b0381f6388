"""Strings to types: each CSV is read once, converted, checked and staged as Parquet; rejected rows go to quarantine.

A staged table has its typed columns and ``_reason`` (null = valid), ``_raw`` (the strings, of rejected rows only) and
``_identity`` (a hash of what identifies a row). Staging makes one scan of the CSV serve every use of the table.
"""

from __future__ import annotations

import pyarrow.compute as pc
import pyarrow.dataset as pads
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from jobs.contracts import storage
from jobs.contracts.workload import Table

from .raw import RawFile

REASON, RAW, IDENTITY = "_reason", "_raw", "_identity"
DUPLICATE = "duplicate"
_TEXT, _ORDER = "_text_", "_order"  # prefix of a column's string while it is converted


def load(session: SparkSession, file: RawFile, workspace: str) -> tuple[DataFrame, dict[str, int]]:
    """Stage one table. Returns its valid rows, typed, and how many rows were rejected by reason.

    Rejected rows are at ``<workspace>/quarantine/<table>/``. Which of several duplicates is the later one only the
    order of the file tells, so a file with duplicates is read again, with a sort.
    """
    table = file.table
    staged = storage.join(workspace, "staged", table.name)
    checked = _checked(session, file)
    _staged(checked, table).write.parquet(staged)
    if table.unique and _has_duplicates(staged):
        _staged(_with_duplicates_named(checked, table), table).write.mode("overwrite").parquet(staged)
    rows = session.read.schema(_schema(table)).parquet(staged)  # given, because finding it out costs Spark a job
    rejected = _quarantine(rows, table, staged, storage.join(workspace, "quarantine", table.name))
    valid = rows.where(F.col(REASON).isNull()) if rejected else rows
    return valid.select(*table.columns), rejected


def _schema(table: Table) -> str:
    columns = [f"`{name}` {kind}" for name, kind in table.columns.items()]
    return ", ".join([*columns, f"{REASON} string", f"{RAW} array<string>", f"{IDENTITY} bigint"])


def _checked(session: SparkSession, file: RawFile) -> DataFrame:
    """Each row's strings (null values as null), its typed columns, why it is rejected, and its place in the file."""
    table = file.table
    schema = ", ".join(f"`{name}` string" for name in table.columns)
    strings = session.read.csv(file.path, schema=schema, header=True, mode="FAILFAST", escape='"')
    text = strings.select(
        *(F.when(~F.col(name).isin(*table.null_values), F.col(name)).alias(_TEXT + name) for name in table.columns),
        F.monotonically_increasing_id().alias(_ORDER),
    )
    typed = text.select("*", *(F.expr(f"try_cast(`{_TEXT}{name}` as {kind})").alias(name) for name, kind in table.columns.items()))
    return typed.withColumn(REASON, _reason(table))


def _staged(checked: DataFrame, table: Table) -> DataFrame:
    raw = F.when(F.col(REASON).isNotNull(), F.array(*(_TEXT + name for name in table.columns)))
    identity = F.when(F.col(REASON).isNull(), F.xxhash64(*table.unique)) if table.unique else F.lit(None).cast("long")
    return checked.select(*table.columns, REASON, raw.alias(RAW), identity.alias(IDENTITY))


def _reason(table: Table) -> Column:
    """Why a row is rejected: the first value that does not convert, or the first expectation that does not hold; else null."""
    unconverted = [
        F.when(F.col(_TEXT + name).isNotNull() & F.col(name).isNull(), F.lit(f"not_{kind}:{name}")) for name, kind in table.columns.items() if kind != "string"
    ]
    broken = [F.when(~F.expr(rule.sql), F.lit(rule.name)) for rule in table.expectations]
    return F.coalesce(*unconverted, *broken, F.lit(None).cast("string"))


def _has_duplicates(staged: str) -> bool:
    """Whether an identity occurs twice: 8 bytes a row in memory; a collision of hashes costs only the second reading."""
    identities = pc.drop_null(_dataset(staged).to_table(columns=[IDENTITY]).column(IDENTITY))
    return bool(pc.count_distinct(identities).as_py() < len(identities))


def _with_duplicates_named(checked: DataFrame, table: Table) -> DataFrame:
    valid = F.col(REASON).isNull()
    nth = F.row_number().over(Window.partitionBy(*table.unique, valid).orderBy(_ORDER))
    return checked.withColumn("_nth", nth).withColumn(REASON, F.when(valid & (F.col("_nth") > 1), DUPLICATE).otherwise(F.col(REASON)))


def _quarantine(rows: DataFrame, table: Table, staged: str, target: str) -> dict[str, int]:
    if not _any_rejected(staged):
        return {}
    rejected = rows.where(F.col(REASON).isNotNull())
    strings = [F.col(RAW)[index].alias(name) for index, name in enumerate(table.columns)]
    rejected.select(*strings, F.col(REASON).alias("reason")).coalesce(1).write.parquet(target)
    reasons = _dataset(target).to_table(columns=["reason"]).column("reason")
    return {f"{table.name}.{entry['values']}": entry["counts"] for entry in sorted(pc.value_counts(reasons).to_pylist(), key=lambda entry: entry["values"])}


def _any_rejected(staged: str) -> bool:
    """Arrow answers from the null counts in the file footers where they suffice."""
    return bool(_dataset(staged).count_rows(filter=pc.field(REASON).is_valid()))


def _dataset(uri: str) -> pads.Dataset:
    files, path = storage.filesystem(uri)
    return pads.dataset(path, format="parquet", filesystem=files)

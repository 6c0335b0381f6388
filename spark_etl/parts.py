"""Which part and which fold a row belongs to: by its time, or by a hash of its key. Never by chance."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jobs.contracts.dataset import FOLD, PARTS, ROLLING, Role
from jobs.contracts.errors import SpecError
from jobs.contracts.workload import Features, RandomSplit, RollingSplit, TimeSplit

PART = "_part"
NO_LABEL, BEFORE_START = "no_label", "before_start"
_SHARES = 1_000_000  # a hash is cut to millionths


def name_of(features: Features, role: Role) -> str:
    """The one output with a role.

    Errors: SpecError when there is none or more than one.
    """
    names = [output.name for output in features.outputs if output.role == role]
    if len(names) != 1:
        raise SpecError(f"the outputs need one column with the role {role}, found {len(names)}", where="Features.outputs")
    return names[0]


def divided(rows: DataFrame, features: Features) -> DataFrame:
    """The output columns in order, as float64, int64, text or UTC time, with ``fold`` and ``_part``.

    Errors: SpecError when ``transform`` did not return a column it declared.
    """
    missing = [output.name for output in features.outputs if output.name not in rows.columns]
    if missing:
        raise SpecError(f"transform returned no column {missing[0]!r}", where="Features.outputs", hint=f"it returned {', '.join(rows.columns)}")
    types = {field.name: field.dataType for field in rows.schema.fields}
    columns = [_plain(output.name, types[output.name]) for output in features.outputs]
    return rows.select(*columns, fold(features).alias(FOLD), part(features).alias(PART))


def _plain(name: str, kind: T.DataType) -> Column:
    column = F.col(name)
    if isinstance(kind, T.FloatType | T.DecimalType):
        return column.cast("double").alias(name)
    if isinstance(kind, T.ByteType | T.ShortType | T.IntegerType | T.BooleanType):
        return column.cast("long").alias(name)
    return column


def part(features: Features) -> Column:
    """The name of the row's part, or why it leaves the dataset."""
    split = features.split
    if isinstance(split, RollingSplit):
        split = TimeSplit(split.validation, split.origins[0], split.start)
    by_split = _by_time(split, name_of(features, Role.TIME)) if isinstance(split, TimeSplit) else _by_hash(split, name_of(features, Role.KEY))
    return F.when(F.col(name_of(features, Role.LABEL)).isNull(), NO_LABEL).otherwise(by_split)


def _by_time(split: TimeSplit, time: str) -> Column:
    train, validation, test = PARTS
    column = F.when(F.col(time) < _moment(split.validation), train).when(F.col(time) < _moment(split.test), validation).otherwise(test)
    return F.when(F.col(time) < _moment(split.start), BEFORE_START).otherwise(column) if split.start else column


def _moment(date: str) -> Column:
    return F.lit(date).cast("timestamp")


def _by_hash(split: RandomSplit, key: str) -> Column:
    train, validation, test = PARTS
    share = F.pmod(F.xxhash64(F.concat(F.lit(split.salt), F.col(key).cast("string"))), F.lit(_SHARES))
    until_train, until_validation = round(split.train * _SHARES), round((split.train + split.validation) * _SHARES)
    return F.when(share < until_train, train).when(share < until_validation, validation).otherwise(test)


def fold(features: Features) -> Column:
    """Fold number, 0 to ``folds`` - 1, by hash of the row's UTC day, or of its key where the outputs have no time; or by its window."""
    if isinstance(features.split, RollingSplit):
        time = F.col(name_of(features, Role.TIME))
        return sum((F.when(time >= _moment(origin), 1).otherwise(0) for origin in features.split.origins), F.lit(0)).cast("long")
    times = [output.name for output in features.outputs if output.role == Role.TIME]
    unit = F.col(times[0]).cast("date") if times else F.col(name_of(features, Role.KEY))
    return F.pmod(F.xxhash64(unit.cast("string")), F.lit(features.folds)).cast("long")


def count_folds(features: Features) -> int:
    return len(features.split.origins) + 1 if isinstance(features.split, RollingSplit) else features.folds


def boundaries(split: TimeSplit | RandomSplit | RollingSplit) -> tuple[str, dict[str, str]]:
    """The split's method and what starts each part, or its share, as the manifest records them."""
    if isinstance(split, RollingSplit):
        windows = {f"fold {number}": origin for number, origin in enumerate(split.origins, 1)}
        return ROLLING, {"start": split.start, "validation": split.validation, "test": split.origins[0], **windows}
    if isinstance(split, TimeSplit):
        return "time", {"start": split.start, "validation": split.validation, "test": split.test}
    test = round(1 - split.train - split.validation, 6)
    return "random", {"train": str(split.train), "validation": str(split.validation), "test": str(test), "salt": split.salt}

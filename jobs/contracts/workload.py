"""The extension point: what a workload (the user's own package) hands to the rooms.

A job file names a function as ``entry: "package.module:function"``. Its package lies in the job's ``code`` folder.

* kind ``etl``:   ``function(params) -> Features``; the transform receives PySpark DataFrames.
* kind ``train``: ``function(manifest, params) -> Model``; the module is a ``torch.nn.Module``.

Nothing here imports an engine: annotations of engine types are strings.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from jobs.contracts.bundle import TaskName
from jobs.contracts.dataset import Role
from jobs.contracts.errors import RequestError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame  # only for annotations: pyspark stays out of the contracts
    from torch import nn


@dataclass(frozen=True)
class Expectation:
    """A rule that every row of a raw table must keep; rows that break it go to quarantine with its name."""

    name: str
    sql: str  # a Spark SQL boolean over the converted columns; null counts as kept


@dataclass(frozen=True)
class Table:
    """One raw table: read as strings, then converted column by column with ``try_cast``.

    A value that is present and does not convert sends its row to quarantine with reason ``not_<type>:<column>``.
    """

    name: str
    file: str  # below the step's input folder; .csv, .csv.gz, or .csv.zip holding one CSV
    columns: Mapping[str, str]  # column -> Spark SQL type, in file order; the header must name them all
    expectations: tuple[Expectation, ...] = ()
    null_values: tuple[str, ...] = ("NA", "")
    unique: tuple[str, ...] = ()  # columns that identify a row; later duplicates go to quarantine ("duplicate")
    header: bool = True  # False: the file starts with its first row, and ``columns`` says what it holds


@dataclass(frozen=True)
class Output:
    """One column of the dataset."""

    name: str
    role: Role
    unit: str = ""
    description: str = ""
    private: bool = False  # never written to a log of predictions
    text: bool = False  # free text: read word by word, and never counted as one category


@dataclass(frozen=True)
class TimeSplit:
    """Rows before ``validation`` train, rows before ``test`` validate, the rest test (ISO dates, by the TIME column)."""

    validation: str
    test: str
    start: str = ""  # rows before it are left out; empty = all


@dataclass(frozen=True)
class RandomSplit:
    """Shares by hash of the key, so that the same row always falls in the same part."""

    train: float = 0.7
    validation: float = 0.1  # the rest tests: 20 %
    salt: str = "seatrial"


@dataclass(frozen=True)
class RollingSplit:
    """A time split whose evaluation rolls: every ``origin`` starts a window that earlier rows alone may predict.

    Rows before ``validation`` train, rows before the first of ``origins`` validate, the rest test. The fold column is 0 before
    the first origin and i from the i-th one on, so that fold i is tested with what was learned from the folds below it.
    """

    validation: str
    origins: tuple[str, ...]  # ISO dates in order; the last window ends with the data
    start: str = ""  # rows before it are left out; empty = all


@dataclass(frozen=True)
class Features:
    """What ``entry`` of an ``etl`` step returns.

    ``transform(tables, params)`` gets one DataFrame per table (valid rows only, typed) and returns one row per
    example with exactly the ``outputs`` columns. A null label leaves the dataset as ``no_label`` and is counted.
    """

    tables: tuple[Table, ...]
    outputs: tuple[Output, ...]
    transform: Callable[[Mapping[str, DataFrame], Mapping[str, Any]], DataFrame]
    split: TimeSplit | RandomSplit | RollingSplit
    folds: int = 10


@dataclass(frozen=True)
class Text:
    """How one free text becomes numbers: its first ``length`` words (:mod:`jobs.scoring.words`), each as its place in ``tokens``.

    Place + 2; 0 = behind the end of the text, 1 = a word that is not among the tokens.
    """

    length: int
    tokens: Sequence[str]


@dataclass(frozen=True)
class Model:
    """What ``entry`` of a ``train`` step returns.

    ``module(categorical, numeric) -> logits``: ``categorical`` int64 [n, C] (0 = unknown), ``numeric`` float32
    [n, N] raw values with NaN for null. Everything fitted lives in the module's buffers.
    ``vocabularies`` has one list of known values per name in ``categorical``, in index order (index = position + 1).
    Behind the categories, ``categorical`` holds the words of each of ``texts``, ``length`` columns each.

    ``task`` says what the label is, and so what the module returns:

        binary        0 or 1                                        logits float32 [n]
        multiclass    one of ``classes`` (as text)                  logits float32 [n, K], in their order
        regression    a number                                      predictions float32 [n] in the label's unit
        forecast      the same, of a time that lies ahead
    """

    name: str
    module: nn.Module
    categorical: tuple[str, ...]
    numeric: tuple[str, ...]
    vocabularies: Mapping[str, list[str]]
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    max_epochs: int = 10
    patience: int = 3  # epochs without a better validation loss before stopping
    options: Mapping[str, Any] = field(default_factory=dict)
    task: TaskName = "binary"
    classes: tuple[str, ...] = ()
    texts: Mapping[str, Text] = field(default_factory=dict)
    loss: Literal["squared", "absolute"] = "squared"  # regression and forecast: aims at the mean, or at the median


def load_entry(entry: str) -> Callable[..., Any]:
    """Resolve ``package.module:function``.

    Errors: RequestError that says whether the module or the function is missing.
    """
    module_name, _, function = entry.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise RequestError(
            f"cannot import {error.name!r}", where=f"entry {entry!r}", hint="check `entry` and `code` in the job file: packages below `code` are importable"
        ) from error
    try:
        return getattr(module, function)  # type: ignore[no-any-return]
    except AttributeError:
        raise RequestError(
            f"module {module_name!r} has no function {function!r}", where=f"entry {entry!r}", hint='write entry as "package.module:function"'
        ) from None

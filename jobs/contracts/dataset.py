"""A dataset: Parquet files below ``<part>/`` plus ``manifest.json``, written last (its presence is the commit).

datasets/<name>/<fingerprint>/train/*.parquet  validation/*.parquet  test/*.parquet
                              quarantine/<table>/*.parquet      manifest.json
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from jobs.contracts import storage
from jobs.contracts.errors import InputError, IntegrityError

if TYPE_CHECKING:
    import pyarrow.dataset as pads

CONTRACT = 1  # raised when a reader of the old layout could misread the new one
MANIFEST = "manifest.json"
PARTS = ("train", "validation", "test")
FOLD = "fold"  # the column with the k-fold number, 0 to folds-1; all rows of one day share it
ROLLING = "rolling"  # the split whose folds are windows of time in order


class Role(StrEnum):
    KEY = "key"
    TIME = "time"
    FEATURE = "feature"
    LABEL = "label"
    WEIGHT = "weight"
    FOLD = "fold"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Statistics(_Frozen):
    """Of the *train* part alone, so that nothing fitted from it has seen validation or test."""

    count: int = Field(description="rows, nulls included")
    nulls: int = Field(description="rows without a value")
    mean: float | None = None
    std: float | None = Field(default=None, description="sample standard deviation")
    min: float | None = None
    max: float | None = None
    quantiles: dict[str, float] = Field(default_factory=dict, description='exact, keys "0.01" to "0.99"')
    categories: dict[str, int] = Field(default_factory=dict, description="rows per value, for text columns; of free text, rows per word")


class Column(_Frozen):
    name: str
    type: str = Field(description='Arrow type name, e.g. "double", "int64", "string", "timestamp[us, tz=UTC]"')
    role: Role
    unit: str = ""
    description: str = ""
    private: bool = Field(default=False, description="never written to a log of predictions")
    text: bool = Field(default=False, description="free text, read word by word")
    statistics: Statistics | None = None

    @model_serializer(mode="wrap")
    def _without_default(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Left out where it is false, so that a manifest without free text reads as it always did."""
        found: dict[str, Any] = dump(self)
        return found if found.get("text") else {key: value for key, value in found.items() if key != "text"}


class DataFile(_Frozen):
    path: str = Field(description="relative to the manifest")
    part: str
    rows: int
    bytes: int
    sha256: str


class Split(_Frozen):
    method: str = Field(description='"time", "random" or "rolling"')
    boundaries: dict[str, str] = Field(default_factory=dict, description="what starts each part, or its share")
    rows: dict[str, int]
    folds: int


class Manifest(_Frozen):
    contract: int = CONTRACT
    name: str
    fingerprint: str
    columns: tuple[Column, ...]
    files: tuple[DataFile, ...]
    split: Split
    inputs: dict[str, str] = Field(description="SHA-256 of every raw file read, by file name")
    rejected: dict[str, int] = Field(
        default_factory=dict, description='rows left out by reason, e.g. {"no_label": 9430}; each is in quarantine/ or was counted there'
    )
    recorded: dict[str, Any] = Field(
        default_factory=dict, description="engine, versions, host, clock, seconds: facts about the making, not part of the fingerprint"
    )

    def columns_of(self, role: Role) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.role == role)

    @property
    def features(self) -> tuple[Column, ...]:
        return self.columns_of(Role.FEATURE)

    @property
    def label(self) -> Column:
        return self.columns_of(Role.LABEL)[0]

    def learns_from(self, fold: int) -> tuple[int, ...]:
        """The folds whose rows may train a model that is tested on ``fold``: all others, or of a rolling split the earlier ones."""
        return tuple(range(fold)) if self.split.method == ROLLING else tuple(other for other in range(self.split.folds) if other != fold)

    def files_of(self, part: str) -> tuple[DataFile, ...]:
        return tuple(file for file in self.files if file.part == part)


def is_text(column: Column) -> bool:
    """Whether a column is a category (text) rather than a number."""
    return column.type in ("string", "large_string")


def load_manifest(uri: str) -> Manifest:
    """Read a published dataset's manifest.

    Errors: InputError when there is no manifest or it does not validate.
    """
    where = storage.join(uri, MANIFEST)
    if not storage.exists(where):
        raise InputError("this is no published dataset: it has no manifest.json", where=uri, hint="run the ETL again; the manifest is written last")
    try:
        manifest = Manifest.model_validate_json(storage.read_bytes(where))
    except ValidationError as error:
        raise IntegrityError(f"the manifest does not validate: {error.errors()[0]['msg']}", where=where, hint="run the ETL again with --fresh") from error
    if manifest.contract != CONTRACT:
        raise InputError(f"dataset contract {manifest.contract}, this Seatrial reads {CONTRACT}", where=where, hint="run the ETL again")
    return manifest


def verify(uri: str) -> Manifest:
    """Check every file's presence, size and SHA-256 against the manifest before anything is read.

    Errors: IntegrityError that names the first file that differs.
    """
    manifest = load_manifest(uri)
    for file in manifest.files:
        where = storage.join(uri, file.path)
        if not storage.exists(where):
            raise IntegrityError("a file of the dataset is missing", where=where, hint="run the pipeline again with --fresh")
        if storage.sha256(where) != file.sha256:
            raise IntegrityError(
                "the file does not match its SHA-256 in the manifest", where=where, hint="it was changed after publishing: run the pipeline again with --fresh"
            )
    return manifest


def publish_manifest(uri: str, manifest: Manifest) -> None:
    """The commit: after this the dataset exists."""
    storage.write_bytes(storage.join(uri, MANIFEST), manifest.model_dump_json(indent=1).encode())


def open_part(uri: str, manifest: Manifest, part: str) -> pads.Dataset:
    """One part as an Arrow dataset, files in manifest order (which is row order)."""
    import pyarrow.dataset as pads  # imports pandas where that is installed, which costs 0.3 s

    files, _ = storage.filesystem(uri)
    paths = [storage.filesystem(storage.join(uri, file.path))[1] for file in manifest.files_of(part)]
    if not paths:
        raise InputError(f"the dataset has no part {part!r}", where=uri, hint=f"its parts are {', '.join(manifest.split.rows)}")
    return pads.dataset(paths, format="parquet", filesystem=files)


def read_part(uri: str, manifest: Manifest, part: str, columns: list[str] | None = None) -> pa.Table:
    """One part as a table, rows in published order. For parts that fit in memory."""
    return open_part(uri, manifest, part).to_table(columns=columns)

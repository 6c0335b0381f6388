"""The rows that a predict step reads: one of our datasets, or plain Parquet at any location, cut into pieces of bounded size.

A piece is a run of row groups, of one file or of several; it becomes one file of predictions. Pieces follow from the files alone, so
a step that was killed cuts the same ones again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.contracts import dataset as datasets
from jobs.contracts import fingerprint, storage
from jobs.contracts.dataset import Manifest, Role
from jobs.contracts.errors import InputError, IntegrityError


@dataclass(frozen=True)
class Span:
    """Some row groups of one file."""

    path: str  # below the input's location
    groups: tuple[int, ...]
    rows: int


@dataclass(frozen=True)
class Piece:
    number: int
    first: int  # rows before it
    spans: tuple[Span, ...]

    @property
    def rows(self) -> int:
        return sum(span.rows for span in self.spans)

    @property
    def digest(self) -> str:
        return fingerprint.of([self.first, [[span.path, list(span.groups), span.rows] for span in self.spans]])


@dataclass(frozen=True)
class Rows:
    """An input, opened. ``manifest``: of a dataset of ours."""

    uri: str
    files: tuple[str, ...]
    manifest: Manifest | None = None

    def ids(self) -> tuple[str, ...]:
        """Columns that say which row it is: keys and times of a dataset, of which no private one."""
        columns = self.manifest.columns if self.manifest else ()
        return tuple(column.name for column in columns if column.role in (Role.KEY, Role.TIME) and not column.private)

    def private(self) -> set[str]:
        return {column.name for column in self.manifest.columns if column.private} if self.manifest else set()

    def pieces(self, rows: int) -> list[Piece]:
        """Pieces of ``rows`` rows or a little more: a row group is never divided."""
        found: list[Piece] = []
        first, held, spans = 0, 0, list[Span]()
        for span in self._spans(rows):
            spans.append(span)
            held += span.rows
            if held >= rows:
                found.append(Piece(len(found), first, tuple(spans)))
                first, held, spans = first + held, 0, []
        return [*found, Piece(len(found), first, tuple(spans))] if spans else found

    def _spans(self, rows: int) -> Iterator[Span]:
        for path in self.files:
            metadata = self.metadata(path)
            groups, held = list[int](), 0
            for group in range(metadata.num_row_groups):
                groups.append(group)
                held += metadata.row_group(group).num_rows
                if held >= rows:
                    yield Span(path, tuple(groups), held)
                    groups, held = [], 0
            if held:
                yield Span(path, tuple(groups), held)

    def metadata(self, path: str) -> pq.FileMetaData:
        """Errors: InputError for a file that is no Parquet."""
        files, inner = storage.filesystem(self.location(path))
        try:
            return pq.read_metadata(inner, filesystem=files)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"this is no Parquet file: {error}", where=self.location(path), hint="give a Parquet file, or a folder of them") from error

    def location(self, path: str) -> str:
        return storage.join(self.uri, path) if path else self.uri

    def schema(self, path: str) -> pa.Schema:
        return self.metadata(path).schema.to_arrow_schema()

    def batches(self, span: Span, columns: Sequence[str], size: int, dictionaries: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Batches of at most ``size`` rows in order; the next one is read while the caller works with this one."""
        files, inner = storage.filesystem(self.location(span.path))
        with pq.ParquetFile(inner, filesystem=files, read_dictionary=list(dictionaries), pre_buffer=True) as file, ThreadPoolExecutor(1, "rows") as reader:
            batches = file.iter_batches(batch_size=size, row_groups=list(span.groups), columns=list(columns))
            upcoming = reader.submit(next, batches, None)
            while (batch := upcoming.result()) is not None:
                upcoming = reader.submit(next, batches, None)
                yield batch


def open_rows(uri: str, parts: Sequence[str]) -> Rows:
    """``parts``: of a dataset; empty = all of them. Files of a dataset are compared with its manifest first.

    Errors: InputError for a location without Parquet files or a part that is not there; IntegrityError for a file that was changed.
    """
    if storage.stat(uri).is_file:
        return Rows(uri, ("",))
    if storage.exists(storage.join(uri, datasets.MANIFEST)):
        return _of_dataset(uri, datasets.load_manifest(uri), parts)
    if parts:
        raise InputError("a plain table has no parts", where="params.part", hint="leave `part` out, or give a dataset")
    names = [name for name in storage.list_files(uri) if name.endswith(".parquet") and not any(word.startswith((".", "_")) for word in name.split("/"))]
    if not names:
        raise InputError("there is no Parquet file here", where=uri, hint="give a dataset, a Parquet file, or a folder of Parquet files")
    return Rows(uri, tuple(names))


def _of_dataset(uri: str, manifest: Manifest, parts: Sequence[str]) -> Rows:
    if unknown := set(parts) - set(manifest.split.rows):
        raise InputError(f"the dataset has no part {min(unknown)!r}", where="params.part", hint=f"its parts are {', '.join(manifest.split.rows)}")
    chosen = [file for file in manifest.files if not parts or file.part in parts]
    for file in chosen:
        where = storage.join(uri, file.path)
        if not storage.exists(where) or storage.sha256(where) != file.sha256:
            hint = "it was changed after publishing: run the pipeline again with --fresh"
            raise IntegrityError("the file is missing or does not match its SHA-256 in the manifest", where=where, hint=hint)
    return Rows(uri, tuple(file.path for file in chosen), manifest)

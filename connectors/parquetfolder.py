"""Relations as Parquet files in a folder of their own, which is there whole or not at all.

Delivery: everything is written into a folder beside the wanted one, on disk, and then renamed.
Limits: an existing folder is replaced only if it holds nothing but such files. Memory is that of
one row group, at most `GROUP_ROWS` rows or about `GROUP_BYTES`.

Types: as DuckDB has them, times as µs without a zone (they are UTC), JSON as text. An interval,
which pyarrow cannot write to Parquet, becomes a duration in µs, a month being 30 days.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.publish import sync_folder
from connectors.relationwire import Relation
from engine.errors import ConfigurationError, StoreError

__all__ = ["GROUP_BYTES", "GROUP_ROWS", "Exported", "check_target", "write_folder"]

GROUP_ROWS = 122_880  # DuckDB's own
GROUP_BYTES = 64 << 20

_SUFFIX = ".parquet"
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: rows by relation, and the bytes of all files."""

    rows: dict[str, int]
    size: int


def check_target(folder: Path, names: Iterable[str], *, overwrite: bool) -> None:
    """See that a folder may be written, or replaced.

    Parameters
    ----------
    folder : pathlib.Path
    names : iterable of str
        All relations there are: what an earlier export may have left.
    overwrite : bool

    Raises
    ------
    ConfigurationError
        It is there and not to be overwritten, or holds something else.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_symlink() or not folder.is_dir():
        msg = f"`--parquet` must be a folder, got {folder}, which is something else"
        raise ConfigurationError(msg)
    found = {each.name for each in folder.iterdir()}
    foreign = sorted(found - {f"{name}{_SUFFIX}" for name in names})
    if foreign:
        msg = f"`--parquet` must hold nothing but an earlier export, got {folder} with {foreign[0]}"
        raise ConfigurationError(msg)
    if found and not overwrite:
        msg = f"`--parquet` must be a new folder, or go with --overwrite, got {folder} with files"
        raise ConfigurationError(msg)


def write_folder(folder: Path, relations: Iterable[Relation]) -> Exported:
    """Write one file for each relation, then put the folder in its place.

    Parameters
    ----------
    folder : pathlib.Path
        See `check_target`, and call it before.
    relations : iterable of Relation
        Each is taken to its end before the next.

    Raises
    ------
    StoreError
        It cannot be written: a full disk, above all.
    """
    with _told(folder):
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        rows = {
            each.name: _write(new / f"{each.name}{_SUFFIX}", each, folder) for each in relations
        }
        with _told(folder):
            size = sum(each.stat().st_size for each in new.iterdir())
            new.chmod(0o777 & ~_umask())
            sync_folder(new)
            _put(new, folder)
            sync_folder(folder.absolute().parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return Exported(rows, size)


def _put(new: Path, folder: Path) -> None:
    """Rename, with what was there aside for the moment that it takes."""
    if not folder.exists() or not any(folder.iterdir()):
        new.rename(folder)  # an empty folder may be renamed over
        return
    old = new.with_suffix(".old")
    folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old)


def _write(path: Path, relation: Relation, folder: Path) -> int:
    schema = pa.schema([_plain(field) for field in relation.schema])
    rows = 0
    with _told(folder), path.open("wb") as out:
        with pq.ParquetWriter(out, schema, compression="zstd") as writer:
            for group in _groups(relation.batches):
                table = pa.Table.from_batches(group)
                columns = [_converted(column) for column in table.columns]
                writer.write_table(pa.table(columns, schema=schema), row_group_size=GROUP_ROWS)
                rows += table.num_rows
        out.flush()
        os.fsync(out.fileno())
    return rows


def _groups(batches: Iterator[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    group: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        group.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= GROUP_ROWS or size >= GROUP_BYTES:
            yield group
            group, rows, size = [], 0, 0
    if group:
        yield group


def _plain(field: "pa.Field[Any]") -> "pa.Field[Any]":
    kind = pa.duration("us") if _is_interval(field.type) else field.type
    return pa.field(field.name, kind, field.nullable)


def _is_interval(kind: pa.DataType) -> bool:
    return bool(kind == pa.month_day_nano_interval())


def _converted(column: "pa.ChunkedArray[Any]") -> "pa.ChunkedArray[Any]":
    if not _is_interval(column.type):
        return column
    spans = [
        None
        if span is None
        else (30 * span.months + span.days) * _DAY_US + span.nanoseconds // 1000
        for span in column.to_pylist()
    ]
    return pa.chunked_array([pa.array(spans, pa.int64()).cast(pa.duration("us"))])


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, ConnectionError | TimeoutError) or error.errno is None:
            raise  # of whoever gives the rows
        msg = f"the export to {folder} cannot be written: {error.strerror}"
        raise StoreError(msg) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

"""Rows on disk or in an object store: parts that are whole or not there, and one file in the end."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2l_engine.batch.schema import PASSING, SCHEMA_VERSION, schema
from l2l_engine.errors import L2LError
from l2l_engine.files import write_whole
from l2l_engine.media import stores

if TYPE_CHECKING:
    import pyarrow as pa

_AT_ONCE = 1024
"""Rows that are held at once while files are put together."""


class RowsError(L2LError, ValueError):
    """Files of rows that do not make one whole: of other jobs, with rows missing or there twice."""


class Folder:
    """Where parts lie: a folder, or a prefix in an object store.

    Args:
        place: Path or URL.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._system: Any = None
        if stores.protocol_of(place) is not None:
            self._system, self._path = stores.find(place)

    def files(self) -> list[str]:
        """Names of the Parquet files in it, in order."""
        if self._system is None:
            return sorted(path.name for path in Path(self.place).glob("*.parquet"))
        self._system.invalidate_cache(self._path)
        if not self._system.exists(self._path):
            return []
        names = [entry.rpartition("/")[2] for entry in self._system.ls(self._path, detail=False)]
        return sorted(name for name in names if name.endswith(".parquet"))

    def open(self, name: str) -> Any:
        """A file of it, to be read."""
        if self._system is None:
            return Path(self.place, name).open("rb")
        return io.BytesIO(self._system.cat_file(f"{self._path}/{name}"))

    def write(self, name: str, content: bytes) -> None:
        """Put a file there, whole or not at all: object stores do it so by themselves."""
        if self._system is None:
            Path(self.place).mkdir(parents=True, exist_ok=True)
            write_whole(Path(self.place, name), lambda file: file.write(content))
        else:
            self._system.pipe_file(f"{self._path}/{name}", content)

    def remove(self) -> None:
        """Remove the files, and the folder if nothing else is in it."""
        for name in self.files():
            Path(self.place, name).unlink()
        if Path(self.place).is_dir() and not any(Path(self.place).iterdir()):
            Path(self.place).rmdir()


class Parts:
    """The rows of a job that were done so far, in a folder; any number of processes may add to it.

    Args:
        place: Path or URL of the folder.
    """

    def __init__(self, place: str | os.PathLike[str]) -> None:
        self.folder = Folder(os.fspath(place))

    def write(self, table: pa.Table) -> None:
        """Add rows. The same rows have the same name, so that who writes them again replaces them."""
        ids = "".join(sorted(table.column("row_id").to_pylist()))
        name = f"part-{hashlib.sha256(ids.encode()).hexdigest()[:32]}.parquet"
        self.folder.write(name, as_parquet(table))

    def done(self) -> set[str]:
        """``row_id`` of what need not be done again: all but what failed for a reason that passes."""
        found = set()
        for batch in self._batches(["row_id", "error_kind"]):
            ids, kinds = batch.column("row_id").to_pylist(), batch.column("error_kind").to_pylist()
            found |= {one for one, kind in zip(ids, kinds, strict=True) if kind not in PASSING}
        return found

    def merge(self, target: Path, wanted: Iterable[str], said: Mapping[str, str] = {}) -> int:
        """Write the rows ``wanted`` as one file, whole or not at all, in the order of the parts.

        A row that is there twice was done twice, as happens where a run is killed, and is written once.

        Returns:
            Rows written.

        Raises:
            RowsError: Some are missing; nothing is written.
        """
        left, later = set(wanted), dict[str, dict[str, Any]]()

        def tables() -> Iterator[pa.Table]:
            for table in self._batches(None):
                rows = table.to_pylist()
                kept = []
                for row in rows:
                    if row["row_id"] in left:
                        if row["error_kind"] in PASSING:
                            later[row["row_id"]] = row
                        else:
                            left.discard(row["row_id"])
                            later.pop(row["row_id"], None)
                            kept.append(row)
                yield as_table(kept)
            left.difference_update(later)
            yield as_table(later.values())
            if left:
                raise RowsError(f"{self.folder.place}: {len(left)} rows are missing")

        return write_tables(target, tables(), said)

    def _batches(self, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        for name in self.folder.files():
            with self.folder.open(name) as file:
                yield from batches(file, f"{self.folder.place}/{name}", columns)


def as_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows as a table of the schema."""
    import pyarrow as pa  # noqa: PLC0415 - an extra

    return pa.Table.from_pylist(list(rows), schema=schema())


def as_parquet(table: pa.Table) -> bytes:
    """A table as the content of a Parquet file."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

    content = io.BytesIO()
    pq.write_table(table, content, compression="zstd")
    return content.getvalue()


def write_tables(target: Path, tables: Iterable[pa.Table], said: Mapping[str, str] = {}) -> int:
    """Write tables of the schema as one Parquet file, whole or not at all; returns how many rows it has.

    Args:
        target: The file; its folder is made.
        tables: Read one by one; what they raise leaves ``target`` as it was.
        said: Goes into the file's own metadata.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

    kind = schema()
    kind = kind.with_metadata({**kind.metadata, **said})
    count = 0

    def write(file: Any) -> None:
        nonlocal count
        with pq.ParquetWriter(file, kind, compression="zstd") as writer:
            for table in tables:
                count += len(table)
                if len(table):
                    writer.write_table(table.replace_schema_metadata(kind.metadata))

    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, write)
    return count


def batches(file: Any, name: str, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of an open Parquet file, some at a time.

    Raises:
        RowsError: It is not a file of rows of this version.
    """
    import pyarrow as pa  # noqa: PLC0415 - an extra
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        opened = pq.ParquetFile(file)
    except pa.ArrowInvalid as error:
        raise RowsError(f"{name}: not a Parquet file: {error}") from error
    said = opened.schema_arrow.metadata or {}
    if said.get(b"l2l.schema") != str(SCHEMA_VERSION).encode():
        raise RowsError(f"{name}: not rows of version {SCHEMA_VERSION} of the schema")
    yield from opened.iter_batches(_AT_ONCE, columns=columns)

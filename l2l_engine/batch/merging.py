"""Shards put together: one file of rows, if none of them is missing or there twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from l2l_engine.batch.parts import RowsError, as_table, batches, write_tables

if TYPE_CHECKING:
    import pyarrow as pa

JOB = ("l2l.listing", "l2l.files", "l2l.asked", "l2l.count")
"""What the shards of one job say alike: its files, how many, what was asked of them, and how many shards."""


def merge_shards(sources: Sequence[Path], target: Path) -> int:
    """Write the rows of all shards of a job as one file, whole or not at all; returns how many.

    Args:
        sources: The shards' files, or folders of them.
        target: The file.

    Raises:
        RowsError: A shard or a row is missing or there twice, or they are not all of one job.
        OSError: A file cannot be read or written.
    """
    files = [file for source in sources for file in _files(source) if file.absolute() != target.absolute()]
    if not files:
        raise RowsError("no shards: " + ", ".join(map(str, sources)))
    said = {file: _metadata(file) for file in files}
    job = _one_job(said)
    seen: set[str] = set()

    def tables() -> Iterator[pa.Table]:
        for file in files:
            with file.open("rb") as opened:
                for batch in batches(opened, str(file)):
                    rows = batch.to_pylist()
                    for row in rows:
                        if row["uri"] in seen:
                            raise RowsError(f"{file}: {row['uri']} is there twice")
                        seen.add(row["uri"])
                    yield as_table(rows)
        if len(seen) != int(job["l2l.files"]):
            raise RowsError(f"{len(seen)} of {job['l2l.files']} rows are there")

    return write_tables(target, tables())


def _files(source: Path) -> list[Path]:
    return sorted(source.glob("*.parquet")) if source.is_dir() else [source]


def _metadata(file: Path) -> dict[str, str]:
    import pyarrow as pa  # noqa: PLC0415 - an extra
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        found = pq.read_schema(file).metadata or {}
    except pa.ArrowInvalid as error:
        raise RowsError(f"{file}: not a Parquet file: {error}") from error
    plain = {key.decode(): value.decode() for key, value in found.items() if key.startswith(b"l2l.")}
    if not {*JOB, "l2l.shard"} <= plain.keys():
        raise RowsError(f"{file}: not a shard of rows")
    return plain


def _one_job(said: dict[Path, dict[str, str]]) -> dict[str, str]:
    """What the files say alike, if they are all shards of one job."""
    first = next(iter(said))
    for file, plain in said.items():
        for key in JOB:
            if plain[key] != said[first][key]:
                raise RowsError(f"{file}: of another job than {first}: {key} differs")
    numbers = sorted(int(plain["l2l.shard"]) for plain in said.values())
    count = int(said[first]["l2l.count"])
    missing = sorted(set(range(1, count + 1)) - set(numbers))
    if missing:
        raise RowsError(f"shards {', '.join(map(str, missing))} of {count} are missing")
    if len(numbers) != count:
        raise RowsError(f"{len(numbers)} files for {count} shards: one is there twice")
    return said[first]

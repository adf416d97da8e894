"""One process's share of a job: the rows of some files, kept as they come, in one Parquet file in the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from l2l_engine.batch import shards
from l2l_engine.batch.items import items
from l2l_engine.batch.parts import Parts, as_table
from l2l_engine.batch.rows import Rows

KEEP_EVERY_S = 20.0
"""Seconds of work that a kill loses at most, but for files that take longer by themselves."""
_HELD = 256


def run(
    rows: Rows,
    files: Sequence[object],
    target: Path,
    *,
    shard: tuple[int, int] | None = None,
    by: str = "hash",
    told: Callable[[dict[str, Any]], None] = lambda row: None,
    begun: Callable[[int], None] = lambda count: None,
) -> int:
    """Write the rows of ``files``, or of a shard of them, to ``target``; it is there whole or not at all.

    What is done is kept beside it, in ``target`` with the ending ``.parts``, until all is: a run that was
    killed goes on there. Rows that ``target`` has already are not done again.

    Args:
        rows: Makes them.
        files: All files of the job; of every shard the same.
        target: The Parquet file.
        shard: I and N; None for all.
        by: "hash" or "bytes": see :mod:`l2l_engine.batch.shards`.
        told: Told of each row that was made.
        begun: Told how many are to be made.

    Returns:
        How many rows there are.
    """
    found = items(files, rows.asked)
    number, count = shard or (1, 1)
    uris = [item.uri for item in found]
    chosen = shards.by_bytes(found, number, count) if by == "bytes" else shards.of(uris, number, count)
    mine = {found[index].row_id: found[index] for index in chosen}
    parts = Parts(target.with_name(f"{target.name}.parts"))
    if target.exists():
        parts.folder.write("before.parquet", target.read_bytes())
    done = parts.done()
    left = [item for key, item in mine.items() if key not in done]
    begun(len(left))
    kept: list[dict[str, Any]] = []
    due = time.monotonic() + KEEP_EVERY_S
    with closing(rows.each(left)) as made:
        for row in made:
            kept.append(row)
            told(row)
            if len(kept) >= _HELD or time.monotonic() >= due:
                parts.write(as_table(kept))
                kept, due = [], time.monotonic() + KEEP_EVERY_S
    if kept:
        parts.write(as_table(kept))
    said = {
        "l2l.shard": str(number),
        "l2l.count": str(count),
        "l2l.files": str(len(set(uris))),
        "l2l.listing": shards.listing(uris),
        "l2l.asked": rows.asked,
    }
    written = parts.merge(target, mine, said)
    parts.folder.remove()
    return written

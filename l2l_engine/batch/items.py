"""Which files a job is about, and what tells each of them, as it is now, from all others."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2l_engine.batch.schema import printable
from l2l_engine.errors import L2LError
from l2l_engine.media import stores
from l2l_engine.media.deadline import Deadline

AT_ONCE = 16
"""Files asked about at once: most of that is waiting for a server."""


@dataclass(frozen=True, slots=True)
class Item:
    """One file of a job.

    Attributes:
        file: As the engine takes it.
        uri: What a row calls it: the path or URL as it was given.
        size: Bytes; None if it cannot be told.
        version: What changes when the file does: an etag, or the time of its last change in nanoseconds.
        row_id: Hash of all of these, the plan and the options: the same file asked the same has the same.
    """

    file: str
    uri: str
    size: int | None
    version: str | None
    row_id: str

    def columns(self) -> dict[str, Any]:
        """What a row says of it."""
        return {"row_id": self.row_id, "uri": self.uri, "size": self.size, "version": self.version}


def row_id(uri: str, size: int | None, version: str | None, asked: str) -> str:
    """32 hexadecimal digits of the SHA-256 of a file's facts and of what is asked of it (:func:`asked`)."""
    text = json.dumps([uri, size, version, asked], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def asked(plan_sha256: str, options: Mapping[str, object]) -> str:
    """The plan and the options that may change an answer, as text that is the same wherever they are."""
    said = {name: value for name, value in options.items() if value is not None}
    return json.dumps([plan_sha256, said], sort_keys=True, default=repr)


def facts(file: str, timeout_s: float | None = None) -> tuple[int | None, str | None]:
    """Size and version of a file as it is now; None where they cannot be told, which is no error here."""
    try:
        if stores.protocol_of(file) is None:
            status = Path(file).stat()
            return status.st_size, str(status.st_mtime_ns)
        store = stores.Store(file, *stores.find(file))
        info = store.info(Deadline(file, timeout_s).poll)
        return info.get("size"), stores.version_of(info)
    except (L2LError, OSError, ValueError):
        return None, None


def item(value: object, what: str, timeout_s: float | None = None) -> Item:
    """One file of a job: a path, a URL, or a row with the column ``uri`` and perhaps those of an Item."""
    row: Mapping[str, Any] = value if isinstance(value, Mapping) else {"uri": value}
    given = row.get("uri", row.get("path"))
    if not isinstance(given, (str, os.PathLike)):
        raise TypeError(f"a path or URL, or a row with a column 'uri', is needed, not {value!r}")
    file = os.fsdecode(given)
    uri = printable(file)
    if row.get("row_id"):
        return Item(file, uri, row.get("size"), row.get("version"), row["row_id"])
    size, version = facts(file, timeout_s)
    return Item(file, uri, size, version, row_id(uri, size, version, what))


def items(values: Iterable[object], what: str, timeout_s: float | None = None) -> list[Item]:
    """Several files of a job, asked about side by side."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda value: item(value, what, timeout_s), values))


def rows_of(batch: Any) -> Iterator[object]:
    """The rows of a batch, whatever engine made it: a table of Arrow, columns by name, or a list."""
    if hasattr(batch, "to_pylist"):
        yield from batch.to_pylist()
    elif isinstance(batch, Mapping):
        names = list(batch)
        for values in zip(*(batch[name] for name in names), strict=True):
            yield {
                name: getattr(value, "item", lambda v=value: v)()
                for name, value in zip(names, values, strict=True)
            }
    elif hasattr(batch, "to_dict") and hasattr(batch, "columns"):
        yield from batch.to_dict("records")
    else:
        yield from batch

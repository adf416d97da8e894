"""Reading annotation files: what is wrong with them is told with file and line."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from training.errors import InputError

Span = tuple[float, float]


class AnnotationError(InputError):
    """An annotation file or a folder that is not what it should be; the message names file and line."""


def text(path: Path) -> str:
    """Return a file's text, with or without a byte order mark."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{path}: cannot be read as text: {error}") from error


def split_name(name: str) -> str:
    """Return a split by the name that a data set, or a file of it, has for it; empty for anything else."""
    known = {"train": "train", "val": "validation", "test": "test"}
    return next((ours for part, ours in known.items() if part in name.lower()), "")


def take(annotations: Sequence[Path], count: int | None, how: str) -> Sequence[Path]:
    """Return the annotation files, if they are as many as there should be; any number but none, if None."""
    if (count is None and not annotations) or (count is not None and len(annotations) != count):
        raise AnnotationError(f"{len(annotations)} annotation files given: {how}")
    return annotations


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that hold something, with their numbers."""
    for number, line in enumerate(text(path).splitlines(), start=1):
        if line.strip():
            yield number, line.strip()


def rows(path: Path, required: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the rows of a CSV by column, each with its place for messages."""
    reader = csv.DictReader(io.StringIO(text(path), newline=""))
    try:
        missing = [name for name in required if name not in (reader.fieldnames or ())]
        if missing:
            raise AnnotationError(f"{path}: has no column {', '.join(missing)}")
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if any(not row[name] for name in required):
                raise AnnotationError(f"{where}: a required column is empty")
            yield where, row
    except csv.Error as error:
        raise AnnotationError(f"{path}:{reader.line_num}: {error}") from error


def span(where: str, row: dict[str, str], first: str, second: str) -> Span | None:
    """Return two columns of a row as a start and an end in seconds; None if both are empty or missing."""
    if not row.get(first) and not row.get(second):
        return None
    try:
        start, end = float(row.get(first) or ""), float(row.get(second) or "")
    except ValueError as error:
        raise AnnotationError(f"{where}: {first} and {second} must be seconds") from error
    if not 0 <= start < end < math.inf:
        raise AnnotationError(f"{where}: {first} must lie before {second}, and neither below 0")
    return start, end


def database(path: Path) -> dict[str, Any]:
    """Return the videos of an annotation file of ActivityNet, by their names."""
    try:
        found = json.loads(text(path))["database"]
    except (ValueError, KeyError, TypeError) as error:
        raise AnnotationError(f"{path}: no annotation file of ActivityNet: {error!r}") from error
    if not isinstance(found, dict):
        raise AnnotationError(f"{path}: no annotation file of ActivityNet")
    return found

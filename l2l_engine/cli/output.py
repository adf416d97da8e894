"""Where predictions go: a table for people, JSON, JSON lines or CSV for programs, a file to resume."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TextIO

from rich.console import Console

from l2l_engine.cli import tell
from l2l_engine.errors import L2LError
from l2l_engine.machine import lock
from l2l_engine.report import write_plot, write_timeline
from l2l_engine.result import Prediction

COLUMNS = ("path", "label", "confidence", "duration_s", "video", "audio", "coverage", "seconds", "top_k")
PUBLISH_EVERY_S = 1.0

Format = Callable[[Prediction], str]


class OutputError(L2LError, ValueError):
    """The file to resume is not one this command wrote, or another run is writing it."""


class Sink(Protocol):
    """Takes predictions one by one."""

    def write(self, prediction: Prediction) -> None:
        """Take one."""

    def close(self) -> None:
        """No more will come."""


class Table:
    """Readable text."""

    def __init__(self, out: Console) -> None:
        self._out = out

    def write(self, prediction: Prediction) -> None:
        """Print one prediction."""
        tell.prediction(self._out, prediction)

    def close(self) -> None:
        """Nothing is left to do."""


class Pictures:
    """Hands each prediction on, and draws it as a page or a picture where that was asked for."""

    def __init__(self, sink: Sink, timeline: Path | None, plot: Path | None) -> None:
        self._sink, self._timeline, self._plot = sink, timeline, plot

    def write(self, prediction: Prediction) -> None:
        """Hand it on, then draw it."""
        self._sink.write(prediction)
        if self._timeline is not None:
            write_timeline(self._timeline, prediction, prediction.path)
        if self._plot is not None:
            write_plot(self._plot, prediction, prediction.path)

    def close(self) -> None:
        """Close what it hands on to."""
        self._sink.close()


class Lines:
    """One record a prediction, flushed at once."""

    def __init__(self, out: TextIO, record: Format, header: str = "") -> None:
        self._out, self._record = out, record
        self._put(header)

    def write(self, prediction: Prediction) -> None:
        """Write one record."""
        self._put(self._record(prediction))

    def close(self) -> None:
        """Nothing is left to do."""

    def _put(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


class JsonArray:
    """One JSON array, an element a line."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._separator = out, "["

    def write(self, prediction: Prediction) -> None:
        """Write one element."""
        self._out.write(f"{self._separator}\n{prediction.to_json()}")
        self._out.flush()
        self._separator = ","

    def close(self) -> None:
        """Close the array."""
        self._out.write("[]\n" if self._separator == "[" else "\n]\n")
        self._out.flush()


class ResumableFile:
    """A file of records that is whole at every moment, so that a killed run can go on.

    Records are appended to ``<name>.part``; the file itself is only ever replaced by a synced copy of
    that, at most every second and so seldom that it costs little. A kill loses the records since. A lock
    on ``<name>.part`` keeps a second run out.

    Args:
        path: The file; what it has already stays.
        record: One prediction as text.
        header: First line of a new file.
        known: Reads the file and returns the paths it has.

    Raises:
        OutputError: If the file is there but is not one of ours, or another run is writing it; it is
            left alone.
    """

    def __init__(self, path: Path, record: Format, header: str, known: Callable[[TextIO], set[str]]) -> None:
        self._path, self._part, self._record = path, path.with_name(f"{path.name}.part"), record
        self.done: set[str] = set()
        self._log = self._open_alone()
        try:
            if path.exists():
                with path.open(encoding="utf-8", newline="") as file:
                    self.done = known(file)
                shutil.copyfile(path, self._part)
                self._log.write("" if _ends_a_line(path) else "\n")
            else:
                self._log.truncate(0)  # what a killed run left
                self._log.write(header)
        except (OSError, ValueError, csv.Error) as error:
            self._part.unlink()
            self._log.close()
            raise OutputError(f"{path}: not a result file of this command: {error}") from error
        self._due = 0.0

    def write(self, prediction: Prediction) -> None:
        """Take one record; it is in the file within seconds."""
        self._log.write(self._record(prediction))
        if time.monotonic() >= self._due:
            self._publish()

    def close(self) -> None:
        """Put the last records into the file and clean up."""
        self._publish()
        self._part.unlink()  # while it is locked, so that it cannot be another run's by now
        self._log.close()

    def _open_alone(self) -> TextIO:
        while True:
            log = self._part.open("a", encoding="utf-8", errors="backslashreplace", newline="")
            try:
                lock(log)
            except BlockingIOError as error:
                log.close()
                raise OutputError(f"{self._path}: another run is writing this file") from error
            except OSError:
                return log  # a file system without locks; refusing to work there would help nobody
            # A run that ended between the two calls has removed the file that is locked now.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(log.fileno()), self._part.stat()):
                    return log
            log.close()

    def _publish(self) -> None:
        begin = time.monotonic()
        self._log.flush()
        copy = self._path.with_name(f"{self._path.name}.tmp")
        shutil.copyfile(self._part, copy)
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        copy.replace(self._path)
        now = time.monotonic()
        # Copying a long file takes long: then do it less often, so that it costs at most a twentieth.
        self._due = now + max(PUBLISH_EVERY_S, 20 * (now - begin))


def json_record(prediction: Prediction) -> str:
    """One JSON object on a line."""
    return prediction.to_json() + "\n"


def json_paths(file: TextIO) -> set[str]:
    """The paths in a file of JSON lines."""
    return {_path_of(number, json.loads(line)) for number, line in enumerate(file, 1)}


def _path_of(number: int, record: object) -> str:
    path = record.get("path") if isinstance(record, dict) else None
    if not isinstance(path, str):
        raise ValueError(f"line {number} has no path")
    return printable(path)


def csv_record(prediction: Prediction) -> str:
    """One row of CSV."""
    media = prediction.media
    if media is None:
        raise ValueError("a prediction from features has no row in a table of files")
    return _row(
        (
            printable(prediction.path or ""),
            prediction.label,
            f"{prediction.confidence:.6g}",
            f"{media.duration:.3f}",
            media.video,
            media.audio,
            f"{media.coverage:.4g}",
            f"{prediction.timings.total:.4f}",
            json.dumps(dict(prediction.top_k), ensure_ascii=False),
        )
    )


def csv_header() -> str:
    """The first line of a CSV file."""
    return _row(COLUMNS)


def csv_paths(file: TextIO) -> set[str]:
    """The paths in a CSV file."""
    rows = csv.reader(file, strict=True)
    if tuple(next(rows, ())) != COLUMNS:
        raise ValueError("the first line is not the header")
    paths = set()
    for row in rows:
        if len(row) != len(COLUMNS):
            raise ValueError(f"line {rows.line_num} has {len(row)} values, not {len(COLUMNS)}")
        paths.add(row[0])
    return paths


def printable(path: str) -> str:
    """A path that any encoding can hold: bytes that are no text are written as escapes."""
    return path.encode("utf-8", "backslashreplace").decode()


def _ends_a_line(path: Path) -> bool:
    """Whether the file is empty or its last line is ended: an editor may have dropped the newline."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 1))
        return file.read() in {b"", b"\n"}


def _row(values: tuple[str, ...]) -> str:
    line = io.StringIO(newline="")
    csv.writer(line).writerow(values)
    return line.getvalue()

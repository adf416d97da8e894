"""What a command line asks for: which files, which form, which sink."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from l2l_engine.cli import output, show
from l2l_engine.cli.streams import complain
from l2l_engine.media.folders import File, expand


def one_form(**wanted: bool) -> str | None:
    """The form that was chosen, if any."""
    chosen = [name for name, on in wanted.items() if on]
    if len(chosen) > 1:
        raise typer.BadParameter("choose one of --json, --jsonl, --csv and --parquet")
    return chosen[0] if chosen else None


def find(arguments: Sequence[str], recursive: bool) -> tuple[list[File], bool]:
    """The files meant, and whether that is all of them: something was found and every folder was read."""
    unread = []

    def unreadable(error: OSError) -> None:
        unread.append(error.filename)
        complain(f"{error.filename}: cannot be read: {error.strerror}")

    found = list(expand(arguments, recursive=recursive, unreadable=unreadable))
    if not found:
        complain(f"no media files in {', '.join(map(str, arguments))}")
    return found, bool(found) and not unread


def missing(found: list[File], sink: output.Sink) -> list[File]:
    """The files whose results the sink does not have yet."""
    if not isinstance(sink, output.ResumableFile):
        return found
    return [file for file in found if output.printable(str(file)) not in sink.done]


def open_sink(chosen: str | None, resume: Path | None) -> output.Sink:
    """Where predictions go."""
    # A file name is whatever bytes the file system holds; it must not break the output.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if resume is not None:
        if chosen == "csv" or (chosen is None and resume.suffix == ".csv"):
            return output.ResumableFile(resume, output.csv_record, output.csv_header(), output.csv_paths)
        return output.ResumableFile(resume, output.json_record, "", output.json_paths)
    if chosen == "json":
        return output.JsonArray(sys.stdout)
    if chosen == "jsonl":
        return output.Lines(sys.stdout, output.json_record)
    if chosen == "csv":
        return output.Lines(sys.stdout, output.csv_record, output.csv_header())
    return output.Table(show.console())

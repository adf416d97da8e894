"""The commands of ``l2l``: what they take; the work is in the rooms next door."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, get_args

import typer
from rich.console import Console

from l2l_engine import __version__
from l2l_engine.classifier import Classifier
from l2l_engine.cli import doctor as doctor_room
from l2l_engine.cli import output, show
from l2l_engine.cli.batch import classify
from l2l_engine.cli.files import expand
from l2l_engine.errors import L2LError
from l2l_engine.media.sampling import Policy
from l2l_engine.plan import read_plan

app = typer.Typer(
    name="l2l",
    help="Says what happens in long videos, by listening before it looks.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

PlanOption = Annotated[
    Path,
    typer.Option("--plan", "-p", envvar="L2L_PLAN", help="The plan file.", show_default="engine.plan"),
]


@app.command(no_args_is_help=True)
def predict(  # noqa: PLR0917 - typer makes an option of each
    files: Annotated[
        list[Path], typer.Argument(help="Video or sound files, or folders.", show_default=False)
    ],
    plan: PlanOption = Path("engine.plan"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="A JSON object a line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="A row of CSV a file.")] = False,
    top_k: Annotated[int, typer.Option(min=1, help="Classes to list.")] = 5,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of the skimmer.", show_default="the plan's")
    ] = None,
    sampling: Annotated[
        str, typer.Option(help=f"Which frames to decode: {', '.join(get_args(Policy))}.")
    ] = "auto",
    timeout: Annotated[float | None, typer.Option(help="Seconds before a file is given up.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Files in work at once.", show_default="the processors")
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Go into folders inside folders.")
    ] = False,
    resume: Annotated[
        Path | None,
        typer.Option(help="Add results to this file (.jsonl, or .csv) and skip what it has already."),
    ] = None,
    timeline: Annotated[
        Path | None, typer.Option(help="Also write this HTML page about the one file.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Also write this PNG about the one file.")] = None,
) -> None:
    """Classify video files: label, confidence, the moments looked at and listened to.

    Results go to standard output as they come, errors to standard error. The exit status is 0 only if
    every file was classified, 1 if some were not, 2 if nothing could be started.

    Examples:

      l2l predict holiday.mp4 --plan engine.plan

      l2l predict videos/ --recursive --resume results.jsonl

      l2l predict *.mp4 --jsonl | jq .label

      l2l predict clip.mp4 --timeline clip.html
    """
    chosen = [name for name, on in (("json", as_json), ("jsonl", as_jsonl), ("csv", as_csv)) if on]
    if len(chosen) > 1:
        raise typer.BadParameter("choose one of --json, --jsonl and --csv")
    found = list(expand(files, recursive=recursive))
    if (timeline or plot) and len(found) != 1:
        raise typer.BadParameter("--timeline and --plot are about one file")
    failed = 0 if found else 1
    if not found:
        _complain(f"no media files in {', '.join(map(str, files))}")
    with _fatal_errors(), Classifier(plan) as classifier:
        sink = _open_sink(chosen[0] if chosen else None, resume)
        pictures = output.Pictures(sink, timeline, plot)
        if isinstance(sink, output.ResumableFile):
            found = [file for file in found if output.printable(str(file)) not in sink.done]
        try:
            failed += classify(
                classifier,
                found,
                pictures,
                workers=workers,
                errors=Console(stderr=True),
                complain=_complain,
                steps=steps,
                sampling=sampling,
                top_k=top_k,
                timeout_s=timeout,
            )
        finally:
            sink.close()
    if failed:
        if found:
            _complain(f"{failed} of {len(found)} files could not be classified")
        raise typer.Exit(1)


@app.command(no_args_is_help=True)
def inspect(plan: Annotated[Path, typer.Argument(help="The plan file.", show_default=False)]) -> None:
    """Say what is in a plan: classes, settings, sizes, hashes, provenance.

    Example: l2l inspect engine.plan
    """
    with _fatal_errors():
        show.plan(_console(), read_plan(plan))


@app.command()
def doctor(
    plan: Annotated[
        Path | None, typer.Option("--plan", "-p", help="Also load this plan and predict with it.")
    ] = None,
) -> None:
    """Say what this machine has and lacks, and test the decoder, the skimmer and, if given, a plan.

    The exit status is 0 only if every test passed.

    Example: l2l doctor --plan engine.plan
    """
    if not doctor_room.report(_console(), plan):
        raise typer.Exit(1)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Options before the command."""
    if version:
        typer.echo(f"l2l_engine {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point of the ``l2l`` command."""
    app()


def _open_sink(chosen: str | None, resume: Path | None) -> output.Sink:
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
    return output.Table(_console())


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


def _complain(message: str) -> None:
    typer.echo(f"l2l: {output.printable(message)}", err=True)


@contextmanager
def _fatal_errors() -> Iterator[None]:
    """Errors that leave nothing to go on with: said in a line, exit status 2."""
    try:
        yield
    except (L2LError, ValueError, OSError) as error:
        _complain(str(error))
        raise typer.Exit(2) from error

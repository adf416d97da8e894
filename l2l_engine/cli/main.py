"""The commands of ``l2l``: what they take; the work is in the rooms next door."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from l2l_engine import __version__
from l2l_engine.classifier import Classifier
from l2l_engine.cli import doctor as doctor_room
from l2l_engine.cli import show
from l2l_engine.errors import L2LError
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
    files: Annotated[list[Path], typer.Argument(help="Video files.", show_default=False)],
    plan: PlanOption = Path("engine.plan"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a file, a line each.")] = False,
    top_k: Annotated[int, typer.Option(min=1, help="Classes to list.")] = 5,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of the skimmer.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds before a file is given up.")] = None,
) -> None:
    """Classify video files: label, confidence, the moments looked at and listened to.

    Results go to standard output as they come, errors to standard error. The exit status is 0 only if
    every file was classified.

    Example: l2l predict holiday.mp4 --plan engine.plan
    """
    # A file name is whatever bytes the file system holds; it must not break the output.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    out, failed = Console(highlight=False, soft_wrap=True), 0
    with _open_classifier(plan) as classifier:
        for file in files:
            try:
                prediction = classifier.predict(file, steps=steps, top_k=top_k, timeout_s=timeout)
            except L2LError as error:
                typer.echo(f"l2l: {error}", err=True)
                failed += 1
                continue
            if as_json:
                typer.echo(prediction.to_json())
            else:
                show.prediction(out, prediction)
    if failed:
        typer.echo(f"l2l: {failed} of {len(files)} files could not be classified", err=True)
        raise typer.Exit(1)


@app.command(no_args_is_help=True)
def inspect(plan: Annotated[Path, typer.Argument(help="The plan file.", show_default=False)]) -> None:
    """Say what is in a plan: classes, settings, sizes, hashes, provenance.

    Example: l2l inspect engine.plan
    """
    try:
        show.plan(Console(highlight=False, soft_wrap=True), read_plan(plan))
    except L2LError as error:
        _fail(error)


@app.command()
def doctor() -> None:
    """Say what this machine has and lacks, and run a self-test.

    The exit status is 0 only if the self-test passed.

    Example: l2l doctor
    """
    if not doctor_room.report(Console(highlight=False, soft_wrap=True)):
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


def _open_classifier(plan: Path) -> Classifier:
    try:
        return Classifier(plan)
    except L2LError as error:
        _fail(error)
        raise


def _fail(error: L2LError) -> None:
    typer.echo(f"l2l: {error}", err=True)
    raise typer.Exit(2)

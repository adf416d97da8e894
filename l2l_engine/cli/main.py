"""The commands of ``l2l``: what they take; the work is in the rooms next door."""

from __future__ import annotations

import logging
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import typer

from l2l_engine import __version__
from l2l_engine.batch import Isolated, Rows, shards
from l2l_engine.call import AskOptions
from l2l_engine.classifier import Classifier
from l2l_engine.cli import jobs, output, plans, show
from l2l_engine.cli.batch import classify
from l2l_engine.cli.explain import explain_all
from l2l_engine.cli.features import features
from l2l_engine.cli.jobs import write_rows
from l2l_engine.cli.options import Files, MaxImageGap, MaxKnots, PlanFile, Recursive, Timeout
from l2l_engine.cli.serve import serve
from l2l_engine.cli.streams import complain, fatal_errors, stand_in_for_closed, unwritable
from l2l_engine.cli.wanted import find, missing, one_form, open_sink
from l2l_engine.cli.written import SegmentFiles, Wanted, option
from l2l_engine.loading import Precision
from l2l_engine.media import DEFAULT_LIMITS, Limits
from l2l_engine.media.sampling import Policy

app = typer.Typer(
    name="l2l",
    help="Says what happens in long videos, by listening before it looks.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

app.command(no_args_is_help=True)(serve)


@app.command(no_args_is_help=True)
def predict(  # noqa: PLR0917 - typer makes an option of each
    files: Files,
    plan: PlanFile = Path("engine.plan"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="A JSON object a line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="A row of CSV a file.")] = False,
    parquet: Annotated[
        Path | None, typer.Option(help="Rows of all files, failures too, in this Parquet file.")
    ] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Of --parquet: only the files of shard I of N.")
    ] = None,
    shard_by: Annotated[str, typer.Option(help=f"What makes shards even: {', '.join(shards.BY)}.")] = "hash",
    isolate: Annotated[
        bool, typer.Option("--isolate", help="Read files in processes that may be lost to a bad one.")
    ] = False,
    tries: Annotated[
        int, typer.Option(min=1, help="Of --isolate: how often a file is begun that is lost.")
    ] = 2,
    max_memory: Annotated[
        int | None, typer.Option(min=1, help="Of --isolate: most bytes of data of a process.")
    ] = None,
    top_k: Annotated[int, typer.Option(min=1, help="Classes to list.")] = 5,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of the skimmer.", show_default="the plan's")
    ] = None,
    sampling: Annotated[
        str, typer.Option(help=f"Which frames to decode: {', '.join(get_args(Policy))}.")
    ] = "auto",
    max_image_gap: MaxImageGap = None,
    max_knots: MaxKnots = None,
    budget_ms: Annotated[
        float | None, typer.Option(help="Answer after this many milliseconds with what was seen by then.")
    ] = None,
    stop_when: Annotated[
        float | None, typer.Option(help="Answer as soon as the confidence is this, from 0 to 1.")
    ] = None,
    timeout: Timeout = None,
    refine: Annotated[
        bool, typer.Option("--refine/--no-refine", help="Look again beside the edges of what happens.")
    ] = True,
    device: Annotated[str, typer.Option(help="What does the work: auto, cpu, cuda, cuda:1 ….")] = "auto",
    precision: Annotated[
        str, typer.Option(help=f"Arithmetic of the encoders: {', '.join(get_args(Precision))}.")
    ] = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Files in work at once.", show_default="the processors")
    ] = None,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Largest frame, width times height.")
    ] = DEFAULT_LIMITS.pixels,
    max_frames: Annotated[
        int, typer.Option(min=1, help="Most frames to decode for one part of a file.")
    ] = DEFAULT_LIMITS.frames,
    max_audio_bytes: Annotated[
        int, typer.Option(min=1, help="Most bytes of decoded sound held at once.")
    ] = DEFAULT_LIMITS.audio_bytes,
    max_duration: Annotated[float, typer.Option(help="Longest file, in seconds.")] = DEFAULT_LIMITS.duration,
    recursive: Recursive = False,
    resume: Annotated[
        Path | None,
        typer.Option(help="Add results to this file (.jsonl, or .csv) and skip what it has already."),
    ] = None,
    timeline: Annotated[
        Path | None, typer.Option(help="Also write this HTML page about the one file.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Also write this PNG about the one file.")] = None,
    srt: Annotated[Path | None, typer.Option(help="Also write when what happens, as subtitles.")] = None,
    vtt: Annotated[Path | None, typer.Option(help="The same as WebVTT.")] = None,
    chapters: Annotated[Path | None, typer.Option(help="The same as chapters, FFmetadata.")] = None,
    otio: Annotated[Path | None, typer.Option(help="The same as a timeline, OpenTimelineIO.")] = None,
    edl: Annotated[Path | None, typer.Option(help="The same as an edit decision list.")] = None,
    audacity: Annotated[Path | None, typer.Option(help="The same as labels of Audacity.")] = None,
    segments_csv: Annotated[Path | None, typer.Option(help="The same as rows of CSV.")] = None,
    fps: Annotated[
        float | None, typer.Option(help="Of --otio and --edl: frames a second.", show_default="the file's")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what would be decoded, and why; predict nothing.")
    ] = False,
) -> None:
    """Classify video files: label, confidence, the moments looked at and listened to.

    Results go to standard output as they come, errors to standard error. The exit status is 0 only if
    every file was classified, 1 if some were not (a folder that cannot be read counts as one, and so does
    a reader of the output that leaves early), 2 if it could not start or could not write.

    Examples:

      l2l predict holiday.mp4 --plan engine.plan

      l2l predict videos/ --recursive --resume results.jsonl

      l2l predict *.mp4 --jsonl | jq .label

      l2l predict clip.mp4 --timeline clip.html

      l2l predict match.mp4 --srt match.srt --edl match.edl

      l2l predict live.mp4 --budget-ms 200

      l2l predict lecture.mp4 --sampling listen --explain

      l2l predict s3://bucket/videos/ --parquet rows/ --shard 3/8 --isolate
    """
    form = one_form(json=as_json, jsonl=as_jsonl, csv=as_csv, parquet=parquet is not None)
    found, complete = find(files, recursive)
    if (timeline or plot) and len(found) != 1:
        raise typer.BadParameter("--timeline and --plot are about one file")
    if shard and parquet is None:
        raise typer.BadParameter("--shard goes with --parquet")
    named = {"srt": srt, "vtt": vtt, "chapters": chapters, "otio": otio, "edl": edl}
    named |= {"audacity": audacity, "segments_csv": segments_csv}
    targets = {name: target for name, target in named.items() if target is not None}
    if targets and parquet is not None:
        raise typer.BadParameter(
            f"--parquet has segments as a column; {option(next(iter(targets)))} is apart"
        )
    if explain and (form or resume or timeline or plot or targets):
        raise typer.BadParameter("--explain prints text and makes no predictions to write")
    asked: AskOptions = {
        "steps": steps,
        "sampling": cast(Policy, sampling),  # any text: the Classifier refuses what it does not know
        "max_image_gap_s": max_image_gap,
        "max_knots": max_knots,
        "budget_ms": budget_ms,
        "stop_when": stop_when,
        "top_k": top_k,
        "timeout_s": timeout,
    }
    if not refine:
        asked["refine"] = False  # what is so by default makes no other job of a batch
    # Any text: the Classifier refuses what it does not know.
    chosen: dict[str, Any] = {"device": device, "precision": precision}
    with fatal_errors():
        limits = Limits(max_pixels, max_frames, max_audio_bytes, max_duration)
        when = Wanted(targets, files, found, plan=plan, fps=fps)
    lost: dict[str, Any] = {"tries": tries, "memory_bytes": max_memory}
    if parquet is not None:
        with fatal_errors():
            rows = Rows(plan, limits=limits, threads=workers, isolate=isolate, **lost, **chosen, **asked)
            write_rows(rows, found, parquet, shard, shard_by, complete=complete)
        return
    alone = isolate and not explain
    with (
        fatal_errors(),
        Isolated(plan, limits=limits, workers=workers, **lost, **chosen)
        if alone
        else (Classifier(plan, limits=limits, **chosen)) as classifier,
    ):
        if isinstance(classifier, Classifier) and explain:
            failed = explain_all(classifier, found, show.console(), complain, **asked)
            raise typer.Exit(1 if failed or not complete else 0)
        sink = open_sink(form, resume)
        left = missing(found, sink)
        pictures = output.Pictures(sink, timeline, plot)
        with closing(SegmentFiles(pictures, when)) as written:
            failed = classify(
                classifier,
                left,
                written,
                workers=workers,
                errors=show.console(stderr=True),
                complain=complain,
                **asked,
            )
    if failed:
        complain(f"{failed} of {len(left)} files could not be classified")
    if failed or written.failed or not complete:
        raise typer.Exit(1)


app.command(no_args_is_help=True)(features)
app.command(name="merge", no_args_is_help=True)(jobs.merge)
app.command(name="batch", no_args_is_help=True, cls=jobs.OptionalAddress)(jobs.batch)
app.command(no_args_is_help=True)(plans.inspect)
app.command(name="compile", no_args_is_help=True)(plans.compile_)
app.command()(plans.doctor)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say which engines are loaded, from where, how fast.")
    ] = False,
) -> None:
    """Options before the command."""
    if verbose:
        logging.basicConfig(format="l2l: %(message)s")
        logging.getLogger("l2l_engine").setLevel(logging.INFO)
    if version:
        typer.echo(f"l2l_engine {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point of the ``l2l`` command."""
    stand_in_for_closed()
    try:
        with unwritable():
            app()
    except typer.Exit as ended:  # from outside of what typer looks after
        sys.exit(ended.exit_code)

"""Features of files into one file, for a search or for `predict_features`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from l2l_engine import embeddings
from l2l_engine.call.many import as_typed
from l2l_engine.classifier import Classifier
from l2l_engine.cli.options import Files, MaxImageGap, MaxKnots, PlanFile, Recursive, Timeout
from l2l_engine.cli.streams import complain, fatal_errors
from l2l_engine.cli.wanted import find
from l2l_engine.embeddings import FileFeatures
from l2l_engine.media.folders import File

SAMPLING = ("auto", "exact", "keyframes")


def features(  # noqa: PLR0917 - typer makes an option of each
    files: Files,
    target: Annotated[
        Path, typer.Option("--output", "-o", help="A .parquet or .npz file.", show_default=False)
    ],
    plan: PlanFile = Path("engine.plan"),
    sampling: Annotated[str, typer.Option(help=f"Which frames to decode: {', '.join(SAMPLING)}.")] = "auto",
    max_image_gap: MaxImageGap = None,
    max_knots: MaxKnots = None,
    timeout: Timeout = None,
    recursive: Recursive = False,
) -> None:
    """Extract what a plan sees and hears in files: by moment, and the mean of each file.

    Read them back with `l2l_engine.embeddings.read`, or with whatever reads Parquet or .npz. The exit status
    is 0 only if every file is in it, 1 if some could not be read, 2 if it could not start or not write.

    Examples:

      l2l features videos/ --recursive --output features.parquet

      l2l features *.mp4 --output features.npz --max-knots 128
    """
    if sampling not in SAMPLING:
        raise typer.BadParameter(f"--sampling is one of {', '.join(SAMPLING)}, not {sampling!r}")
    found, complete = find(files, recursive)
    options: dict[str, Any] = {
        "sampling": sampling,
        "max_image_gap_s": max_image_gap,
        "max_knots": max_knots,
        "timeout_s": timeout,
    }
    with fatal_errors(), Classifier(plan, device="cpu") as classifier:
        classifier.predict_many((), **options)  # refuses options out of range; below, all errors are a file's
        document = classifier.plan.document
        count = embeddings.write(
            target,
            _extract(classifier, found, options),
            plan=classifier.plan.sha256,
            hop=document.media.hop,
        )
    typer.echo(f"features of {count} files in {target}")
    if lost := len(set(found)) - count:
        complain(f"{lost} of {len(set(found))} files could not be read")
    if lost or not complete:
        raise typer.Exit(1)


def _extract(classifier: Classifier, files: list[File], options: dict[str, Any]) -> Iterator[FileFeatures]:
    """The features of the files that can be read; of each other one a line on standard error."""
    for file in dict.fromkeys(files):
        try:
            kept = classifier.features(file, **options)
        except Exception as error:
            complain(str(as_typed(error, file)))
        else:
            yield FileFeatures(str(file), kept)

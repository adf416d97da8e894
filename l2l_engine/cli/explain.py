"""What a prediction would decode, as text for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from l2l_engine.call import AskOptions, Explanation
from l2l_engine.call.many import as_typed
from l2l_engine.classifier import Classifier
from l2l_engine.cli.show import literal
from l2l_engine.media.folders import File
from l2l_engine.report.words import count
from l2l_engine.result import TimeArray

if TYPE_CHECKING:
    from typing_extensions import Unpack

_LISTED = 8
"""Moments listed before the rest is only counted."""


def explain_all(
    classifier: Classifier,
    files: Sequence[File],
    out: Console,
    complain: Callable[[str], None],
    **options: Unpack[AskOptions],
) -> int:
    """Print an explanation of each file, and hand each failure to ``complain``.

    Returns:
        The number of files that could not be read.
    """
    failed = 0
    classifier.predict_many((), **options)  # refuses options out of range; below, all errors are a file's
    for file in files:
        try:
            found = classifier.explain(file, **options)
        except Exception as error:
            complain(str(as_typed(error, file)))
            failed += 1
        else:
            explanation(out, found)
    return failed


def explanation(out: Console, found: Explanation) -> None:
    """Print what would be decoded of one file, and why."""
    out.print(f"[bold]{literal(found.path or 'media')}[/bold]")
    for reason in found.reasons:
        out.print(f"  {literal(reason)}")
    out.print(f"  length:  {found.duration:.1f} s, {count(found.timestamps, 'timestamp')}")
    if len(found.image_knots):
        exact = len(found.image_knots) - found.knots_at_key_frames
        out.print(f"  frames:  {_moments(found.image_knots)}")
        out.print(
            f"           {found.knots_at_key_frames} of {count(found.key_frames, 'key frame')}, "
            f"{exact} between key frames, widest gap {found.widest_gap_s:.2f} s"
        )
    if len(found.audio_knots):
        out.print(f"  sounds:  {_moments(found.audio_knots)}")
    if len(found.image_knots):
        out.print(
            f"  decoder: about {found.frames_to_decode:,} of {count(found.frames, 'frame')}: "
            f"seeks to {count(found.groups, 'group')} of pictures at most, "
            f"walks {found.walked_s:.1f} s of video inside them"
        )
    out.print()


def _moments(times: TimeArray) -> str:
    listed = ", ".join(f"{time:.1f}" for time in times[:_LISTED].tolist())
    more = ", …" if len(times) > _LISTED else ""
    return f"{len(times):,} at {listed}{more} s"

"""Predictions that say when, and what readers of other programs make of what is written."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable
from dataclasses import replace

import av

from l2l_engine import Prediction
from l2l_engine.result import Segment
from tests.report.cases import make


def when(*segments: tuple[str, float, float], **options: object) -> Prediction:
    """A prediction with these segments (label, start, end)."""
    found = tuple(Segment(label, start, end, 0.75) for label, start, end in segments)
    return replace(make(**options), segments=found)  # type: ignore[arg-type]


def cues(text: str, name: str) -> list[tuple[int, int, str]]:
    """Start, end (milliseconds) and words of every cue, by FFmpeg's demuxer and decoder."""
    found = []
    with av.open(io.BytesIO(text.encode()), format=name) as container:
        stream = container.streams.subtitles[0]
        for packet in container.demux(stream):
            if packet.size:
                words = "".join(_words(subtitle.ass) for subtitle in stream.decode2(packet).rects)
                found.append((packet.pts, packet.pts + packet.duration, words))
    return found


def _words(ass: bytes) -> str:
    """The words of a line of ASS, which the decoders make of all text: markup to tags, and what would be one
    there escaped."""
    return ass.decode().split(",", 8)[8].replace("\\{{}", "{").replace("\\\u2060", "\\")


def chapters_of(text: str) -> list[tuple[int, int, str]]:
    """Start, end (milliseconds) and title of every chapter, by FFmpeg's demuxer."""
    with av.open(io.BytesIO(text.encode()), format="ffmetadata") as container:
        return [(int(c["start"]), int(c["end"]), c["metadata"]["title"]) for c in container.chapters()]


def tiled(segments: Iterable[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """What goes on, asked of each stretch between two edges by itself; by start."""
    given = list(segments)
    cuts = sorted({edge for begin, end, _ in given for edge in (begin, end)})
    found = []
    for begin, end in itertools.pairwise(cuts):
        names = [name for low, high, name in given if low <= begin and end <= high]
        if names:
            found.append((begin, end, ", ".join(dict.fromkeys(names))))
    return found

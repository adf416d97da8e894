"""Segments as formats need them: in whole units of time, names on one line, and without overlaps."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from l2l_engine.formats.problems import NoSegmentsError
from l2l_engine.report.words import visible
from l2l_engine.result import Prediction, Segment

LONGEST = 500
"""Characters of a name on a line: readers of lines have buffers, FFmpeg's of SRT one of 4,096 bytes."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """From ``begin`` up to ``end``, in whole units of time, with the name of what happens."""

    begin: int
    end: int
    name: str


def segments_of(prediction: Prediction) -> tuple[Segment, ...]:
    """The segments, by start.

    Raises:
        NoSegmentsError: The plan gives none.
    """
    if prediction.segments is None:
        raise NoSegmentsError(
            f"{visible(prediction.path or 'features')}: the plan has no settings for segments, so it cannot "
            "say when something happens"
        )
    return tuple(sorted(prediction.segments, key=lambda segment: (segment.start_s, segment.end_s)))


def stretches(prediction: Prediction, rate: float) -> list[Stretch]:
    """The segments in units of ``1 / rate`` seconds, each at least one unit long, with :func:`spoken` names.

    Raises:
        NoSegmentsError: The plan gives none.
    """
    found = []
    for segment in segments_of(prediction):
        begin = round(segment.start_s * rate)
        found.append(Stretch(begin, max(begin + 1, round(segment.end_s * rate)), spoken(segment.label)))
    return found


def spoken(label: str) -> str:
    """A class as words on one line: what is not printable is spelled out, and more than 500 are cut off."""
    words = visible(label).strip() or "?"
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"


def side_by_side(found: Sequence[Stretch]) -> list[Stretch]:
    """The same time without overlaps: wherever several things happen at once, a stretch has all their names.

    ``found`` is by start. What comes out is cut at every start and end that lies within another stretch.
    """
    edges = sorted({edge for stretch in found for edge in (stretch.begin, stretch.end)})
    active: list[Stretch] = []
    pieces, following = [], 0
    for begin, end in itertools.pairwise(edges):
        active = [stretch for stretch in active if stretch.end > begin]
        while following < len(found) and found[following].begin <= begin:
            active.append(found[following])
            following += 1
        if active:
            names = dict.fromkeys(stretch.name for stretch in active)
            pieces.append(Stretch(begin, end, ", ".join(names)))
    return pieces

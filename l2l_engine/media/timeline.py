"""Clocks that restart or jump within a file: its parts follow each other on one clock.

Recordings are joined, broadcasters start their clocks anew, recorders pause for hours. What a stamp says is
then true within a part only. Each part begins where the one before it ended, and what nobody sent between
them takes no time.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

BACK = 0.5
"""Seconds by which a stamp may lie before the one ahead of it in the same track and still be jitter."""
AHEAD = 10.0
"""Seconds of nothing in all tracks from which on the clock jumped; a shorter pause may be a loss."""
_SURE = 3
"""Packets in a row that must agree on a new clock; fewer are stamps that were damaged."""
_LATE = 10
"""Packets a track may still have of the old part after another track began with the new one."""
_ALIKE = 5.0
"""Seconds by which the jumps of two tracks into one part may differ: they need not start together."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Where parts begin.

    Attributes:
        parts: For each track (by the index of its stream) the number of the first packet of each part but
            the first, and the seconds to be added to the stamps from there on; increasing numbers.
    """

    parts: Mapping[int, list[tuple[int, float]]]

    @property
    def restarts(self) -> bool:
        """Whether there is more than one part."""
        return any(self.parts.values())

    def shift(self, stream: int, number: int) -> float:
        """Seconds to be added to the stamps of a track's packet (its ``number`` from the file's start)."""
        parts = self.parts.get(stream, [])
        found = bisect.bisect_right(parts, (number, math.inf))
        return parts[found - 1][1] if found else 0.0


@dataclass(slots=True)
class _Part:
    """A part after the first: how far the clock jumped, and by how much its raw stamps are shifted."""

    jump: float
    shift: float
    firsts: dict[int, int] = field(default_factory=dict)
    """By track: the number of the first packet."""
    starts: dict[int, float] = field(default_factory=dict)
    """By track: when that begins, raw seconds."""


@dataclass(slots=True)
class _Track:
    number: int = 0
    """Packets so far."""
    shift: float = 0.0
    part: int = 0
    """Which part it is in."""
    last: float | None = None
    """When the last packet began whose stamp was believed, raw seconds."""
    doubtful: list[tuple[int, float, float, float]] = field(default_factory=list)
    """The last packets, if they are on another clock: number, when decoded, when shown, and until when."""
    since: int = 0
    """Packets since another track began a part that this one has not come to."""
    ends: dict[int, float] = field(default_factory=dict)
    """By part: where it ended, raw seconds."""


class Joiner:
    """Finds the parts from all packets of the tracks, in the order of the file.

    Args:
        ahead: Seconds of nothing in all tracks from which on the clock jumped.
    """

    def __init__(self, ahead: float = AHEAD) -> None:
        self._ahead = ahead
        self._tracks: dict[int, _Track] = {}
        self._parts: list[_Part] = []
        self._front = -math.inf
        """How far all tracks came, on the clock made so far."""

    @property
    def reached(self) -> float:
        """How far the tracks came, in seconds of the first part's clock."""
        return self._front

    def add(self, stream: int, decoded: float | None, begin: float, end: float) -> None:
        """One more packet: when it is decoded, and from when to when it is shown, by its own stamps.

        ``decoded`` is None where it says nothing; it is counted all the same.
        """
        track = self._tracks.setdefault(stream, _Track())
        number, track.number = track.number, track.number + 1
        if decoded is None:
            return
        if not self._jumps(track, decoded):
            track.doubtful.clear()
            track.since += track.part < len(self._parts)
            self._believe(track, decoded, end)
            return
        if track.doubtful and not -BACK <= decoded - track.doubtful[-1][1] <= self._ahead:
            track.doubtful.clear()  # it agrees with neither clock, nor with those before it
        track.doubtful.append((number, decoded, begin, end))
        if len(track.doubtful) == _SURE:
            self._enter(stream, track)

    def _jumps(self, track: _Track, decoded: float) -> bool:
        if self._front == -math.inf or (track.last is None and not self._parts):
            return False
        if track.part < len(self._parts) and self._joins(track, decoded):
            return True
        back = track.last is not None and decoded < track.last - BACK
        return back or decoded + track.shift > self._front + self._ahead

    def _joins(self, track: _Track, decoded: float) -> bool:
        """Whether a track comes to the part that others are in: it jumps as they did, and soon after."""
        if track.last is None:
            return True  # one that begins only now
        jump = decoded - track.last
        alike = abs(jump - self._parts[-1].jump) < min(_ALIKE, abs(self._parts[-1].jump) / 2)
        return alike and abs(jump) > BACK and track.since <= _LATE

    def _enter(self, stream: int, track: _Track) -> None:
        number, decoded, *_ = track.doubtful[0]
        begin = min(shown for _, _, shown, _ in track.doubtful)
        if not (track.part < len(self._parts) and self._joins(track, decoded)):
            before = self._front - track.shift if track.last is None else track.last
            self._parts.append(_Part(decoded - before, self._front - begin))
            for other in self._tracks.values():
                other.since = 0
        part = self._parts[-1]
        part.firsts[stream], part.starts[stream] = number, begin
        track.part, track.shift = len(self._parts), part.shift
        for _, at, _, end in track.doubtful:
            self._believe(track, at, end)
        track.doubtful.clear()

    def _believe(self, track: _Track, decoded: float, end: float) -> None:
        track.last = decoded
        track.ends[track.part] = max(track.ends.get(track.part, -math.inf), end)
        self._front = max(self._front, end + track.shift)

    def timeline(self) -> Timeline:
        """Where the parts begin; each begins, in its earliest track, where all before it have ended."""
        found: dict[int, list[tuple[int, float]]] = {stream: [] for stream in self._tracks}
        shifts = dict.fromkeys(self._tracks, 0.0)
        at = dict.fromkeys(self._tracks, 0)
        for number, part in enumerate(self._parts, 1):
            members = [(stream, self._tracks[stream].ends.get(at[stream])) for stream in part.firsts]
            ended = [end + shifts[stream] for stream, end in members if end is not None]
            begin = min(part.starts.values())
            shift = max(ended, default=begin + part.shift) - begin
            for stream, first in part.firsts.items():
                found[stream].append((first, shift))
                shifts[stream], at[stream] = shift, number
        return Timeline(found)

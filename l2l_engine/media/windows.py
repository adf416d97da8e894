"""Windows of sound one after the other, and which of them hold enough of what belongs there."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from l2l_engine.media.audio import AudioWalker, Sound
from l2l_engine.media.clock import Clock
from l2l_engine.media.source import WindowsAt
from l2l_engine.media.tracks import Track

_BLOCK = 16
"""Windows of sound that are resampled together: each costs less so."""

_MISSING = 0.4
"""Share of a window without sound from which on it is asked why."""


def iter_windows(
    walker: AudioWalker, track: Track, clock: Clock, starts: NDArray[np.float64], seconds: float
) -> Iterator[WindowsAt]:
    """Yield the valid windows of ``seconds`` that begin at ``starts``, some at a time.

    A window is valid if at least half of the sound that belongs into it could be decoded, or none does.
    Those that lack sound come last: why, only the whole track tells.
    """
    doubtful: list[tuple[int, Sound, float]] = []
    ready: list[tuple[int, Sound]] = []
    for row, start in enumerate(starts.tolist()):
        sound = walker.window(start + clock.zero)
        missing = seconds - walker.covered
        if missing > _MISSING * seconds:
            doubtful.append((row, sound, start))
        else:
            ready.append((row, sound))
        if len(ready) == _BLOCK:
            yield walker.resampled(ready)
            ready = []
    ready += [(row, sound) for row, sound, start in doubtful if _enough(walker, track, clock, start, seconds)]
    for at in range(0, len(ready), _BLOCK):
        yield walker.resampled(ready[at : at + _BLOCK])


def _enough(walker: AudioWalker, track: Track, clock: Clock, start: float, seconds: float) -> bool:
    """Whether a window lacks sound because there is none, not because it was lost."""
    if walker.end == -math.inf and not clock.yields(track, walker.poll):
        return False
    seen_end = walker.end if walker.ended else math.inf
    seen_end = max(seen_end, walker.passed)
    lost = [*walker.bad, (seen_end, clock.expected_end(track, seen_end))]
    begin = start + clock.zero
    spans = lost + clock.holes(walker.poll)
    end = min(begin + seconds, max(seen_end, lost[-1][1]))
    return _overlap(begin, end, spans) <= max(0.0, end - max(begin, track.start)) / 2


def _overlap(begin: float, end: float, spans: list[tuple[float, float]]) -> float:
    """Seconds of [begin, end] that lie in ``spans``; what lies in two of them counts twice."""
    return sum(max(0.0, min(end, to) - max(begin, since)) for since, to in spans)

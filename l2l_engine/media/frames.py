"""Pictures one after the other, and which frame may stand for a moment."""

from __future__ import annotations

import math
from collections.abc import Iterator

import av.error
import numpy as np
from numpy.typing import NDArray

from l2l_engine.media.clock import CUT_SHORT, Clock
from l2l_engine.media.decoder import DecodedFrame
from l2l_engine.media.picture import ImageArray, PictureMaker, WholeFrame
from l2l_engine.media.source import FrameAt
from l2l_engine.media.tracks import Track
from l2l_engine.media.video import FrameWalker


def iter_frames(
    walker: FrameWalker,
    track: Track,
    clock: Clock,
    times: NDArray[np.float64],
    make: PictureMaker,
    *,
    whole: bool = False,
) -> Iterator[FrameAt]:
    """Yield the frames shown at ``times``, those a while after their frame began last: it may be a hole."""
    zero = clock.zero
    moments = (times + zero).tolist()
    doubtful: list[FrameAt] = []
    before: DecodedFrame | None = None
    picture: ImageArray | None = None
    for row, moment in enumerate(moments):
        shown = walker.at(moment, moments[row + 1] if row + 1 < len(moments) else math.inf)
        if shown is None or not _holds(walker, track, clock, moment):
            continue
        if shown is not before:  # one frame may stand for several moments
            before, picture = shown, _picture(make, shown)
        if picture is not None:
            seen = FrameAt(row, picture, shown.time - zero, WholeFrame(shown.frame) if whole else None)
            if float(times[row]) - seen.shown_at > CUT_SHORT:
                doubtful.append(seen)
            else:
                yield seen
    for seen in doubtful:
        if not any(begin < moments[seen.row] < end for begin, end in clock.holes(walker.poll)):
            yield seen


def _holds(walker: FrameWalker, track: Track, clock: Clock, moment: float) -> bool:
    """Whether the last frame of a track may stand for a later moment: not in a file cut short."""
    if not walker.ended or moment <= walker.end + CUT_SHORT:
        return True
    return clock.expected_end(track, walker.end) == walker.end


def _picture(make: PictureMaker, shown: DecodedFrame) -> ImageArray | None:
    """The picture of a frame; None if FFmpeg cannot convert it, as with a frame that is not decoded."""
    try:
        return make(shown.frame)
    except (av.error.FFmpegError, ValueError):
        return None

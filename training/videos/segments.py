"""Reading a segment of a file as if it were a file of its own."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from l2l_engine.errors import MediaError
from l2l_engine.media import timestamps
from training.videos.manifest import Video


def segment_times(video: Video, duration: float, hop: float) -> NDArray[np.float64]:
    """Return the timestamps of a video, in seconds of its file: ``start + j * hop``, before its end.

    Args:
        video: A file or a segment of one.
        duration: How long the file lasts, as decoding found it.
        hop: Seconds between timestamps.

    Raises:
        MediaError: If the file ends before the segment begins.
    """
    end = duration if video.end is None else min(video.end, duration)
    if end <= video.start:
        raise MediaError(f"{video.path}: lasts {duration:.2f} s, the segment begins at {video.start:.2f} s")
    return video.start + timestamps(end - video.start, hop)


def silence_after(
    samples: NDArray[np.float32], times: NDArray[np.float64], end: float | None, rate: int
) -> None:
    """Zero, in place, what windows hear of the time after a segment.

    Args:
        samples: [M, window], each from one of ``times`` on.
        times: Seconds [M].
        end: Where the segment ends, in seconds; None leaves everything as it is.
        rate: Samples a second.
    """
    if end is None:
        return
    for row, time in zip(samples, times, strict=True):
        row[max(0, math.ceil((end - time) * rate)) :] = 0

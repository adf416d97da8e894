"""The plainest possible decoding, to compare ours with: everything, from first to last, in order."""

from __future__ import annotations

import io
from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from l2l_engine.media.picture import PictureMaker


@dataclass
class Reference:
    """Every frame of a video stream: when it is shown (container seconds), and its picture."""

    times: NDArray[np.float64]
    images: NDArray[np.uint8]

    def at(self, moment: float) -> int:
        """Row of the frame shown at a moment."""
        return max(0, int(np.searchsorted(self.times, moment + 1e-6, side="right")) - 1)


def decode_all(content: bytes, stream: int | None = None, crop: int = 112) -> Reference:
    make = PictureMaker(128, crop)
    times, images = [], []
    with av.open(io.BytesIO(content)) as container:
        chosen = container.streams.video[0] if stream is None else container.streams[stream]
        for frame in container.decode(chosen):
            times.append(float(frame.pts * chosen.time_base))
            images.append(make(frame))
    order = np.argsort(times, kind="stable")
    return Reference(np.asarray(times)[order], np.asarray(images)[order])


def start_of(content: bytes) -> float:
    """The earliest start of the first video and audio stream: 0 on the file's clock."""
    with av.open(io.BytesIO(content)) as container:
        first = [*container.streams.video[:1], *container.streams.audio[:1]]
        return min(float(s.start_time * s.time_base) for s in first)

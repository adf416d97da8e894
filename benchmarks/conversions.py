"""What an answer needs that the floor leaves out: frames made small, sound resampled."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from benchmarks.floor import Knots
from l2l_engine.media.picture import PictureMaker
from l2l_engine.media.resample import Resampler
from l2l_engine.plan import MediaSettings

REPEATS = 8


def cpu_seconds(path: Path, knots: Knots, media: MediaSettings) -> dict[str, float]:
    """CPU-seconds that the engine's own conversions take for so many frames and windows of this file."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        rate = container.streams.audio[0].rate
    make = PictureMaker(media.short_side, media.crop)
    resampler = Resampler(rate, media.sample_rate)
    start, stop = resampler.span(0, media.window)
    samples = np.zeros(stop - start, np.float32)
    return {
        "pictures": round(len(knots.image) * _each(lambda: make(frame)), 4),
        "resampling": round(len(knots.audio) * _each(lambda: resampler(samples, 0, media.window)), 4),
    }


def _each(work: Callable[[], object]) -> float:
    work()  # tables are made once
    begin = time.thread_time()
    for _ in range(REPEATS):
        work()
    return (time.thread_time() - begin) / REPEATS

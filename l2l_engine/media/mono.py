"""From a decoded audio frame to one channel of float samples."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from av.audio.frame import AudioFrame, format_dtypes
from av.audio.layout import AudioLayout
from av.audio.plane import AudioPlane
from numpy.typing import NDArray

MAX_RATE = 400_000
"""Hz; no real recording has more, and the filters for a damaged header's 4 GHz would fill the memory."""

_TYPES = format_dtypes | {"s64": "i8", "s64p": "i8"}
"""PyAV leaves these out."""


def mono(frame: AudioFrame) -> NDArray[np.float32]:
    """The mean of the channels but the subwoofer's (float32 [samples]; 1.0 is full scale)."""
    count, kept = _channels(frame.layout.name, frame.layout.nb_channels)
    kind = np.dtype(_TYPES[frame.format.name])
    # Not ``frame.to_ndarray()`` nor ``frame.planes``: they look for a null pointer behind the last channel,
    # and from eight channels on there is none, so they read what is no sound, or crash.
    if frame.format.is_planar:
        rows = [np.frombuffer(memoryview(AudioPlane(frame, i)), kind, frame.samples) for i in kept]
    else:
        packed = np.frombuffer(memoryview(AudioPlane(frame, 0)), kind, frame.samples * count)
        rows = [packed[i::count] for i in kept]
    total: NDArray[np.float32] = rows[0].astype(np.float32)
    for row in rows[1:]:
        total += row.astype(np.float32, copy=False)
    if kind == np.uint8:
        total -= np.float32(128 * len(rows))
    full_scale = 1.0 if kind.kind == "f" else 2.0 ** (8 * kind.itemsize - 1)
    total *= np.float32(1 / full_scale / len(rows))
    return total


@lru_cache(maxsize=64)
def _channels(layout: str, count: int) -> tuple[int, tuple[int, ...]]:
    """How many channels a layout has, and which of them are heard."""
    try:
        names = [channel.name for channel in AudioLayout(layout).channels]
    except ValueError:
        names = []  # a layout without a name of its own, such as "22 channels"
    heard = tuple(i for i, name in enumerate(names) if name != "LFE")
    return count, heard if len(names) == count and heard else tuple(range(count))

"""Where things stand on the time axis, and curves as SVG paths."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l2l_engine.result import Prediction

WIDTH, HEIGHT = 1000, 100
"""Coordinates inside a strip; it is stretched to whatever size it is shown at."""

_COLUMNS = 500
"""Points a curve is reduced to: more than there are pixels to tell apart would only make the page heavy."""

_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600)
_MOST_TICKS = 6

FloatArray = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Axis:
    """The video's time, from 0 to ``duration`` seconds."""

    duration: float

    def share(self, seconds: float) -> float:
        """Where a moment stands, from 0 to 1."""
        return min(1.0, max(0.0, seconds / self.duration))

    def percent(self, seconds: float) -> str:
        """The same for an SVG attribute."""
        return f"{100 * self.share(seconds):.3f}%"

    def ticks(self) -> list[float]:
        """At most six evenly spaced round moments that are not too close to the end."""
        step = next((t for t in _TICKS if self.duration / t <= _MOST_TICKS), 86400.0)
        return [i * step for i in range(math.ceil(self.duration / step - 0.25))] or [0.0]


def time_axis(prediction: Prediction) -> Axis:
    """The axis of a prediction; from its timestamps alone where there was no file."""
    times = prediction.timestamps
    last = float(times[-1]) if len(times) else 0.0
    hop = float(times[1] - times[0]) if len(times) > 1 else 1.0
    duration = prediction.media.duration if prediction.media is not None else last + hop
    return Axis(duration if math.isfinite(duration) and duration > 0 else 1.0)


def thinned(times: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """At most 500 points of a curve that keep its peaks: of each stretch of it the highest point."""
    if len(times) <= _COLUMNS:
        return times, values
    edges = np.linspace(0, len(times), _COLUMNS + 1).astype(int)
    kept = [low + int(np.argmax(values[low:high])) for low, high in itertools.pairwise(edges)]
    return times[kept], values[kept]


def scaled(times: FloatArray, values: FloatArray, axis: Axis) -> tuple[FloatArray, FloatArray]:
    """A curve from edge to edge of the axis (0 to 1) as shares of its own peak (0 to 1).

    Zero stays at the bottom, so an even attention is a full, flat band and a sharp one is a needle.
    """
    times, values = thinned(np.asarray(times, float), np.nan_to_num(np.asarray(values, float)))
    peak = float(values.max(initial=0.0))
    heights = np.clip(values / peak, 0.0, 1.0) if peak > 0 else np.zeros(len(values))
    x = np.clip(times / axis.duration, 0.0, 1.0)
    if not len(x):
        return np.array([0.0, 1.0]), np.zeros(2)
    return np.concatenate([[0.0], x, [1.0]]), np.concatenate([heights[:1], heights, heights[-1:]])


def area_path(x: FloatArray, heights: FloatArray, *, hanging: bool) -> str:
    """The filled area under a curve; ``hanging`` turns it upside down, from the top edge."""
    base = 0 if hanging else HEIGHT
    y = heights * HEIGHT if hanging else HEIGHT * (1 - heights)
    points = " ".join(f"{a:g} {b:g}" for a, b in zip(np.round(x * WIDTH, 1), np.round(y, 1), strict=True))
    return f"M0 {base}L{points} {WIDTH} {base}Z"


def band_path(heights: FloatArray) -> str:
    """A waveform: one value a column, from 0 to 1, drawn to both sides of the middle; NaN is a gap."""
    middle, columns = HEIGHT / 2, len(heights)
    half = np.round(np.nan_to_num(heights) * middle * 0.96, 1)
    x = np.round((np.arange(columns) + 0.5) * WIDTH / columns, 1)
    upper = [f"{a:g} {middle - h:g}" for a, h in zip(x, half, strict=True)]
    lower = [f"{a:g} {middle + h:g}" for a, h in zip(x, half, strict=True)]
    return f"M0 {middle:g}L{' '.join(upper)} {WIDTH} {middle:g} {' '.join(reversed(lower))}Z"

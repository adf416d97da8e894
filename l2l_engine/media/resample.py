"""Band-limited resampling on a fixed grid, so that a sample's value does not depend on who asked for it."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from l2l_engine import _native

FloatArray = NDArray[np.float32]

_ZERO_CROSSINGS = 24
"""Half width of the windowed sinc, in periods of the lower rate."""
_ROLLOFF = 0.95
_BETA = 8.6
_MAX_PHASES = 1024
"""Phases computed exactly; a stranger ratio uses the nearest of so many."""


class Resampler:
    """Converts mono float32 at ``rate_in`` Hz to ``rate_out`` Hz.

    Output sample n stands at time n / rate_out, input sample k at k / rate_in, both counted from the same
    origin. Each output sample is a fixed weighted sum of the input samples around it: asking for a part of
    the track gives the same numbers as asking for all of it.

    Attributes:
        margin: Input samples needed on each side of an output sample.
    """

    def __init__(self, rate_in: int, rate_out: int) -> None:
        common = math.gcd(rate_in, rate_out)
        self._step, self._cycle = rate_in // common, rate_out // common
        self._taps = _taps(self._step, self._cycle)
        self.margin = self._taps.shape[1] // 2

    def span(self, first: int, count: int) -> tuple[int, int]:
        """The input samples [start, stop) that output samples first … first+count-1 are made of."""
        start = first * self._step // self._cycle - self.margin
        stop = (first + count - 1) * self._step // self._cycle + self.margin + 2
        return start, stop

    def __call__(self, samples: FloatArray, first: int, count: int) -> FloatArray:
        """Output samples ``first`` … ``first + count - 1`` (float32 [count]). Releases the GIL.

        Args:
            samples: float32 [stop - start], the input samples of ``span(first, count)``.
            first: Index of the first output sample, may be negative.
            count: Number of output samples, at least 1.
        """
        if self._step == 1 == self._cycle:
            return samples[self.margin : self.margin + count]
        rest = first * self._step % self._cycle
        return _native.resample(samples, self._taps, rest, self._step, self._cycle, count, "auto")


def _kernel(distance: NDArray[np.float64], cutoff: float) -> NDArray[np.float64]:
    """Kaiser-windowed sinc of ``cutoff`` (of the input rate) at a distance in input samples."""
    half = _ZERO_CROSSINGS / cutoff
    inside = np.clip(1.0 - (distance / half) ** 2, 0.0, None)
    return np.asarray(cutoff * np.sinc(cutoff * distance) * np.i0(_BETA * np.sqrt(inside)) / np.i0(_BETA))


def _bank(fractions: NDArray[np.float64], ratio: float) -> FloatArray:
    """Taps for outputs that stand ``fractions`` of an input sample after input sample 0 (float32 [P, W])."""
    cutoff = _ROLLOFF * min(1.0, ratio)
    margin = math.ceil(_ZERO_CROSSINGS / cutoff)
    position = np.arange(-margin, margin + 1)
    taps = _kernel(fractions[:, None] - position, cutoff)
    taps /= taps.sum(axis=1, keepdims=True)  # constant input stays exactly constant, whatever the phase
    return np.ascontiguousarray(taps, np.float32)


@lru_cache(maxsize=16)
def _taps(step: int, cycle: int) -> FloatArray:
    """A row for each place that an output sample can have between two input samples."""
    if cycle <= _MAX_PHASES:
        return _bank(np.arange(cycle) / cycle, cycle / step)
    return _bank((np.arange(_MAX_PHASES) + 0.5) / _MAX_PHASES, cycle / step)

"""Band-limited resampling on a fixed grid, so that a sample's value does not depend on who asked for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

_ZERO_CROSSINGS = 24
"""Half width of the windowed sinc, in periods of the lower rate."""
_ROLLOFF = 0.95
_BETA = 8.6
_MAX_PHASES = 1024
"""Phases computed exactly; a stranger ratio uses the nearest of so many."""
_BLOCK = 512
"""Output samples of a stranger ratio made at once; each takes a copy of its taps and inputs."""


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
        self._step, self._phases = rate_in // common, rate_out // common
        self._rate_in, self._rate_out = rate_in, rate_out
        self._exact = self._phases <= _MAX_PHASES
        self._taps = _taps(self._step, self._phases) if self._exact else _taps_nearest(rate_in, rate_out)
        self.margin = self._taps.shape[1] // 2

    def span(self, first: int, count: int) -> tuple[int, int]:
        """The input samples [start, stop) that output samples first … first+count-1 are made of."""
        start = first * self._rate_in // self._rate_out - self.margin
        stop = (first + count - 1) * self._rate_in // self._rate_out + self.margin + 2
        return start, stop

    def __call__(self, samples: FloatArray, first: int, count: int) -> FloatArray:
        """Output samples ``first`` … ``first + count - 1`` (float32 [count]).

        Args:
            samples: float32 [stop - start], the input samples of ``span(first, count)``.
            first: Index of the first output sample, may be negative.
            count: Number of output samples, at least 1.
        """
        out: FloatArray = self.many([samples], [first], count)[0]
        return out

    def many(self, samples: Sequence[FloatArray], firsts: Sequence[int], count: int) -> FloatArray:
        """Several stretches of the same length at once (float32 [B, count]), which costs less.

        Args:
            samples: B arrays, each as for a call.
            firsts: B indices of first output samples.
            count: Number of output samples of each, at least 1.
        """
        out = np.empty((len(samples), count), np.float32)
        if self._step == 1 == self._phases:
            for row, part in enumerate(samples):
                out[row] = part[self.margin : self.margin + count]
        elif not self._exact:
            for row, (part, first) in enumerate(zip(samples, firsts, strict=True)):
                self._strange(part, first, out[row])
        else:
            self._by_phase(samples, firsts, out)
        return out

    def _strange(self, samples: FloatArray, first: int, out: FloatArray) -> None:
        count, width = len(out), self._taps.shape[1]
        index = np.arange(first, first + count, dtype=np.int64)
        whole, rest = np.divmod(index * self._rate_in, self._rate_out)
        offset = whole - (first * self._rate_in // self._rate_out)
        windows = np.lib.stride_tricks.sliding_window_view(samples, width)
        phase = rest * _MAX_PHASES // self._rate_out
        for at in range(0, count, _BLOCK):
            part = slice(at, at + _BLOCK)
            out[part] = np.einsum("nk,nk->n", windows[offset[part]], self._taps[phase[part]])

    def _by_phase(self, samples: Sequence[FloatArray], firsts: Sequence[int], out: FloatArray) -> None:
        """Output samples one full cycle apart share their taps, and their inputs are evenly spaced."""
        count, step, phases = out.shape[1], self._step, self._phases
        into = [first % phases for first in firsts]  # where each stretch begins in its first cycle
        cycles = (max(into) + count - 1) // phases + 1
        width = self._taps.shape[1]
        # All stretches aligned at a cycle's start, so that one phase is the same columns of each.
        inputs = np.zeros((len(samples), cycles * step + width), np.float32)
        for row, part in enumerate(samples):
            at = into[row] * step // phases
            length = min(len(part), inputs.shape[1] - at)
            inputs[row, at : at + length] = part[:length]
        windows = np.lib.stride_tricks.sliding_window_view(inputs, width, axis=1)
        aligned = np.empty((len(samples), cycles, phases), np.float32)
        for lane in range(phases):
            rows = windows[:, lane * step // phases :: step][:, :cycles]
            # Not ``rows @ taps``: BLAS sums in another order when it is given another number of rows.
            np.einsum("bck,k->bc", rows, self._taps[lane * step % phases], out=aligned[:, :, lane])
        flat = aligned.reshape(len(samples), -1)
        for row, at in enumerate(into):
            out[row] = flat[row, at : at + count]


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
def _taps(step: int, phases: int) -> FloatArray:
    return _bank(np.arange(phases) / phases, phases / step)


@lru_cache(maxsize=4)
def _taps_nearest(rate_in: int, rate_out: int) -> FloatArray:
    return _bank((np.arange(_MAX_PHASES) + 0.5) / _MAX_PHASES, rate_out / rate_in)

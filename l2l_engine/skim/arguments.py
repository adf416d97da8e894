"""The arguments of the skimmer and of ``soft_index``, spelled once for every device.

Who computes takes each argument to where it computes: a :class:`Taker`. On the host that settles dtypes; on a
GPU it also copies. Both sides of the native core then take the same arguments in the same order.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

from l2l_engine import _arrays

Modality = Literal["both", "image", "audio"]
KeyActivation = Literal["none", "relu"]
Precision = Literal["fp32", "bf16", "fp16", "auto"]

_Array = Any  # NumPy's, or one of the device that it was taken to


class Taker(Protocol):
    """Takes arguments to where they are computed with. Each method names the argument at fault.

    Raises:
        TypeError: The argument is of the wrong type or dtype.
        ValueError: It has a shape or values that can be told to be wrong here.
    """

    def features(self, name: str, value: Any, lengths: Any = None) -> _Array:
        """Take an array of floats, of which ``lengths`` says how much counts."""

    def times(self, name: str, value: Any, lengths: Any = None, *, knots: bool = False) -> _Array:
        """Take an array of float64 seconds, which increase where they are those of knots."""

    def lengths(self, name: str, value: Any, most: int) -> _Array | None:
        """Take an array of int64 from 1 to ``most``, or None."""

    def mask(self, name: str, value: Any) -> _Array | None:
        """Take an array of bool, or None."""


class Host:
    """The :class:`Taker` of the CPU. Shapes and values are for the native core to check."""

    def features(self, name: str, value: Any, lengths: Any = None) -> NDArray[np.float32]:
        """Give a contiguous float32 array."""
        return _arrays.float32(name, value)

    def times(
        self, name: str, value: Any, lengths: Any = None, *, knots: bool = False
    ) -> NDArray[np.float64]:
        """Give a contiguous float64 array."""
        return _arrays.float64(name, value)

    def lengths(self, name: str, value: Any, most: int) -> NDArray[np.int64] | None:
        """Give a contiguous int64 array, or None."""
        return _arrays.int64(name, value)

    def mask(self, name: str, value: Any) -> NDArray[np.bool_] | None:
        """Give a contiguous bool array, or None."""
        return _arrays.mask(name, value)


@dataclass(frozen=True, slots=True, eq=False)
class SkimInput:
    """The arguments of one run of the skimmer; see :meth:`l2l_engine.skim.Skimmer.run`."""

    image_bank: Any
    audio_bank: Any
    image_times: Any
    audio_times: Any
    timestamps: Any
    steps: int
    _: KW_ONLY
    image_lengths: Any = None
    audio_lengths: Any = None
    lengths: Any = None
    modality: Modality = "both"

    def taken(self, by: Taker, *, visual_only: bool) -> tuple[Any, ...]:
        """Give the first arguments of both native skimmers' ``run``.

        These are banks, their times, timestamps, steps, the banks' lengths, and lengths. Pairs are image,
        audio; what the modality rules out is None and not read.

        Raises:
            TypeError, ValueError: The message names the argument at fault.
        """
        _arrays.one_of("modality", self.modality, ("both", "image", "audio"))
        if visual_only and self.modality == "audio":
            raise ValueError("modality: these weights are visual only")
        moments = by.times("timestamps", self.timestamps, self.lengths)
        pairs: list[tuple[_Array | None, _Array | None, _Array | None]] = []
        for name in ("image", "audio"):
            bank, times, count = (getattr(self, f"{name}_{part}") for part in ("bank", "times", "lengths"))
            if self.modality not in ("both", name) or (visual_only and name == "audio"):
                pairs.append((None, None, None))
                continue
            rows = by.features(f"{name}_bank", bank, count)
            knots = by.times(f"{name}_times", times, count, knots=True)
            pairs.append((rows, knots, by.lengths(f"{name}_lengths", count, _extent(rows))))
        banks, times, counts = map(list, zip(*pairs, strict=True))
        lengths = by.lengths("lengths", self.lengths, _extent(moments))
        return banks, times, moments, _arrays.integer("steps", self.steps), counts, lengths


class _SoftIndexQueries(TypedDict):
    image_query: Any
    audio_query: Any
    modality_scores: Any


class SoftIndexOptions(_SoftIndexQueries, total=False):
    """The arguments by name of ``soft_index``; :func:`l2l_engine.ops.soft_index` says what they mean."""

    image_lengths: Any
    audio_lengths: Any
    lengths: Any
    image_excluded: Any
    audio_excluded: Any
    precision: Precision


@dataclass(frozen=True, slots=True, eq=False)
class SoftIndexInput:
    """The arguments of one step of attention; see :func:`l2l_engine.ops.soft_index`.

    Raises:
        TypeError, ValueError: ``precision`` is none of those that there are.
    """

    image_bank: Any
    audio_bank: Any
    image_times: Any
    audio_times: Any
    timestamps: Any
    _: KW_ONLY
    image_query: Any
    audio_query: Any
    modality_scores: Any
    image_lengths: Any = None
    audio_lengths: Any = None
    lengths: Any = None
    image_excluded: Any = None
    audio_excluded: Any = None
    precision: Precision = "fp32"

    def __post_init__(self) -> None:
        _arrays.one_of("precision", self.precision, ("fp32", "bf16", "fp16", "auto"))

    def taken(self, by: Taker) -> tuple[Any, ...]:
        """Give the first arguments of both native ``soft_index``.

        These are banks, their times, timestamps, queries, modality scores, the banks' lengths, lengths,
        masks, and precision. Pairs are image, audio.

        Raises:
            TypeError, ValueError: The message names the argument at fault.
        """
        moments = by.times("timestamps", self.timestamps, self.lengths)
        pairs = []
        for name in ("image", "audio"):
            bank, times, query, count, excluded = (
                getattr(self, f"{name}_{part}") for part in ("bank", "times", "query", "lengths", "excluded")
            )
            rows = by.features(f"{name}_bank", bank, count)
            knots = by.times(f"{name}_times", times, count, knots=True)
            asked = by.features(f"{name}_query", query)
            counts = by.lengths(f"{name}_lengths", count, _extent(rows))
            pairs.append((rows, knots, asked, counts, by.mask(f"{name}_excluded", excluded)))
        banks, times, queries, counts, masks = map(list, zip(*pairs, strict=True))
        scores = by.features("modality_scores", self.modality_scores)
        lengths = by.lengths("lengths", self.lengths, _extent(moments))
        return banks, times, moments, queries, scores, counts, lengths, masks, self.precision


def _extent(array: _Array) -> int:
    """Say how many rows a video has; where there are none, which is refused later, there is no bound."""
    return array.shape[1] if len(array.shape) > 1 and array.shape[1] > 0 else int(np.iinfo(np.int64).max)

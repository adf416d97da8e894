"""Fusion's first layer at every timestamp of a video, some at a time: memory does not follow the length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine import _native
from l2l_engine.skim.inputs import Modality

CHUNK = 256
"""Timestamps fused at a time."""

Rows = NDArray[np.float32]
Bank = tuple[Any, Any]
"""Features [B, M, D] and their times [B, M]."""


class Pairs:
    """ReLU(W_0 [z_j^I, z_j^A] + b_0) of the pairs of a batch of videos.

    Args:
        weights: ``fusion.0`` [F, 2D] (of one modality: [F, D]) as ``.weight`` and ``.bias``, and
            ``fusion.1.weight`` [D, F].
    """

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        size = len(weights["fusion.1.weight"])
        # Split by modality: the half of an absent one costs nothing.
        first = np.ascontiguousarray(weights["fusion.0.weight"], np.float32).T
        self._image, self._audio = first[:size], first[size:]
        self._bias = np.ascontiguousarray(weights["fusion.0.bias"], np.float32)

    @property
    def hidden(self) -> int:
        """F."""
        return len(self._bias)

    def banks(self, image: Bank | None, audio: Bank | None, modality: Modality) -> list[Bank | None]:
        """The banks that are read, the image's first; None of an absent modality."""
        return [
            None if modality == "audio" else image,
            None if modality == "image" or not len(self._audio) else audio,
        ]

    def chunks(
        self, banks: list[Bank | None], video: int, stamps: NDArray[np.float64]
    ) -> Iterator[tuple[slice, Rows]]:
        """Yield which timestamps come next, and their rows float32 [., F]."""
        for start in range(0, len(stamps), CHUNK):
            part = slice(start, start + CHUNK)
            rows = np.tile(self._bias, (len(stamps[part]), 1))
            for bank, weight in zip(banks, (self._image, self._audio), strict=True):
                if bank is not None:
                    rows += _at(bank, video, stamps[part]) @ weight
            yield part, np.maximum(rows, 0)


def scores_of(banks: list[Bank | None], count: int, steps: int) -> Rows:
    """The modality scores float32 [B, T, 2] where all that is there counts the same."""
    present = np.array([bank is not None for bank in banks], np.float32)
    return np.tile(present / present.sum(), (count, steps, 1))


def _at(bank: Bank, video: int, stamps: NDArray[np.float64]) -> Rows:
    """A video's features at some timestamps."""
    features, times = (part[video : video + 1] for part in bank)
    rows: Rows = _native.interpolate(features, times, stamps[None], "auto")[0]
    return rows

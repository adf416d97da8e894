"""The features of one modality of one video on the device, in the order they came there, and by time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine.cuda.arrays import Arguments
from l2l_engine.gpu.device import Block, Device, View, view
from l2l_engine.gpu.pool import Pool

_FIRST = 128
"""Rows there is room for at first."""


class Rows:
    """A bank that grows. Written on one stream, that of its encoder, by whoever holds that encoder's turn.

    Args:
        device, pool: Where its memory comes from.
        width: D, float32 values a row.
    """

    def __init__(self, device: Device, pool: Pool, width: int) -> None:
        self._device, self._pool, self._width = device, pool, width
        self._block: Block | None = None
        self._stream = 0
        self.count = 0

    def append(self, features: View, first: int, count: int, stream: int) -> int:
        """Queue a copy of some rows of ``features`` behind those there are; the number of the first."""
        row = 4 * self._width
        block = self._room(self.count + count, stream)
        at = self.count
        self._device.copy(block.pointer + at * row, features.pointer + first * row, count * row, stream)
        self.count += count
        return at

    def view(self) -> View:
        """All rows: float32 [1, M, D]."""
        assert self._block is not None, "there are no rows"
        return view(self._block, (1, self.count, self._width), np.float32)

    def close(self) -> None:
        """Give the memory back; readers are done with it, the writer need not be. Safe to call twice."""
        block, self._block = self._block, None
        if block is not None:
            self._pool.give(block, self._stream)

    def _room(self, rows: int, stream: int) -> Block:
        """Memory for so many rows, with those there are; readers must be done with the old one."""
        self._stream = stream
        old, needed = self._block, 4 * self._width * max(rows, _FIRST)
        if old is None or old.nbytes < needed:
            self._block = self._pool.take(needed, stream)
            if old is not None:
                size = 4 * self._width * self.count
                self._device.copy(self._block.pointer, old.pointer, size, stream)
                self._pool.give(old, stream)
        assert self._block is not None
        return self._block


@dataclass(frozen=True, slots=True, eq=False)
class OrderedRows:
    """One modality of one video on the device.

    Attributes:
        rows: [1, M, D], in any order; ready on the stream of whoever reads them.
        order: int [K], which row belongs to each of ``times``.
        times: float64 [K], increasing seconds.
    """

    rows: View
    order: NDArray[np.int64]
    times: NDArray[np.float64]


Both = tuple["OrderedRows | None", "OrderedRows | None"]
"""Image and audio."""


def external(name: str, value: Any, stream: object, width: int, number: int) -> tuple[View, object]:
    """Features [M, D] that another library made, without a copy, as [1, M, D]; and what keeps them.

    The stream waits for whatever the array's maker says it must be waited for.

    Raises:
        TypeError: It holds no float32 or float16.
        ValueError: It has another shape, is strided or on another device.
    """
    array = Arguments(stream, number).imported(name, value)
    if array.device != number:
        raise ValueError(f"{name} is on GPU {array.device}, and this Classifier on GPU {number}")
    if array.dtype not in {np.dtype(np.float32), np.dtype(np.float16)}:
        raise TypeError(f"{name} on the device must hold float32 or float16, not {array.dtype}")
    if len(array.shape) != 2 or array.shape[1] != width or not array.shape[0]:
        raise ValueError(f"{name} must have shape [M, {width}] with M at least 1, not {array.shape}")
    pointer = int(array.__cuda_array_interface__["data"][0])
    return View(pointer, (1, *array.shape), np.dtype(array.dtype), array), array

"""Banks of one video on the device, as its end takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine.cuda.arrays import Arguments
from l2l_engine.gpu.device import View


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One modality of one video on the device.

    Attributes:
        rows: [1, M, D], in any order; ready on the lane's stream.
        order: int [K], which row belongs to each of ``times``.
        times: float64 [K], increasing seconds.
    """

    rows: View
    order: NDArray[np.int64]
    times: NDArray[np.float64]


Parts = tuple["Part | None", "Part | None"]
"""Image and audio."""


def external(name: str, value: Any, stream: object, width: int) -> tuple[View, object]:
    """Features [M, D] that another library made, without a copy, as [1, M, D]; and what keeps them.

    The stream waits for whatever the array's maker says it must be waited for.

    Raises:
        TypeError: It holds no float32 or float16.
        ValueError: It has another shape, is strided or on another device.
    """
    array = Arguments(stream, 0).imported(name, value)
    if array.dtype not in {np.dtype(np.float32), np.dtype(np.float16)}:
        raise TypeError(f"{name} on the device must hold float32 or float16, not {array.dtype}")
    if len(array.shape) != 2 or array.shape[1] != width or not array.shape[0]:
        raise ValueError(f"{name} must have shape [M, {width}] with M at least 1, not {array.shape}")
    pointer = int(array.__cuda_array_interface__["data"][0])
    return View(pointer, (1, *array.shape), np.dtype(array.dtype), array), array

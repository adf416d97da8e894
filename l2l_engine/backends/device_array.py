"""Arrays in GPU memory that others made, taken without a copy."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np


class DeviceArray(Protocol):
    """An array in GPU memory, as PyTorch, CuPy and PyCUDA make them."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]: ...


def device_pointer(name: str, array: DeviceArray, dtype: np.dtype[Any], shape: tuple[int, ...]) -> int:
    """The address of a contiguous array in GPU memory.

    Args:
        name: Of the argument, for messages.
        array: What was handed in.
        dtype: What it must hold.
        shape: What it must have; -1 stands for any size.

    Raises:
        TypeError, ValueError: If it is no such array.
    """
    interface = getattr(array, "__cuda_array_interface__", None)
    if interface is None:
        raise TypeError(f"{name} must be an array in GPU memory, not {type(array).__name__}")
    if np.dtype(interface["typestr"]) != dtype:
        raise TypeError(f"{name} must hold {dtype}, not {np.dtype(interface['typestr'])}")
    found = tuple(interface["shape"])
    if len(found) != len(shape) or not all(map(_fits, found, shape)):
        raise ValueError(f"{name} must have shape {shape}, not {found}")
    strides = interface.get("strides")
    if strides is not None and tuple(strides) != _contiguous(found, dtype.itemsize):
        raise ValueError(f"{name} must be contiguous")
    return int(interface["data"][0])


def _fits(side: int, wanted: int) -> bool:
    return wanted in (-1, side)


def _contiguous(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    strides = [itemsize]
    for side in reversed(shape[1:]):
        strides.append(strides[-1] * side)
    return tuple(reversed(strides))

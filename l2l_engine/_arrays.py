"""What the fronts of the native core do to their arguments: settle dtypes, and name the one at fault."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_FLOATS = ("float32", "float16", "bfloat16")


def one_of(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not one of the choices."""
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected one of {', '.join(choices)}, got {type(value).__name__}")
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")


def integer(name: str, value: object) -> int:
    """A plain int from anything that is an integer; bool is none."""
    if isinstance(value, bool):
        raise TypeError(f"{name}: expected an integer, got bool")
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # that is what the except is for
    except TypeError:
        raise TypeError(f"{name}: expected an integer, got {type(value).__name__}") from None
    if abs(number) > 1 << 31:
        raise ValueError(f"{name}: {number} is out of range")
    return number


def _array(name: str, value: ArrayLike | None) -> NDArray[Any]:
    if value is None:
        raise TypeError(f"{name}: expected an array, got None")
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def float32(name: str, value: ArrayLike | None) -> NDArray[np.float32]:
    """A contiguous float32 array from any of the three float formats that are stored."""
    array = _array(name, value)
    if array.dtype.name not in _FLOATS:
        raise TypeError(f"{name}: expected {', '.join(_FLOATS)}, got {array.dtype.name}")
    return np.ascontiguousarray(array, np.float32).reshape(array.shape)


def float64(name: str, value: ArrayLike | None) -> NDArray[np.float64]:
    """A contiguous float64 array from real numbers."""
    array = _array(name, value)
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        raise TypeError(f"{name}: expected float64, got {array.dtype.name}")
    return np.ascontiguousarray(array, np.float64).reshape(array.shape)


def int64(name: str, value: ArrayLike | None) -> NDArray[np.int64] | None:
    """A contiguous int64 array from integers; None stays None."""
    if value is None:
        return None
    array = np.asarray(value)
    if array.dtype.kind not in "iu" or array.dtype == np.uint64:
        raise TypeError(f"{name}: expected int64, got {array.dtype.name}")
    return np.ascontiguousarray(array, np.int64).reshape(array.shape)


def mask(name: str, value: ArrayLike | None) -> NDArray[np.bool_] | None:
    """A contiguous bool array; None stays None."""
    if value is None:
        return None
    array = _array(name, value)
    if array.dtype != np.bool_:
        raise TypeError(f"{name}: expected bool, got {array.dtype.name}")
    return np.ascontiguousarray(array, np.bool_).reshape(array.shape)

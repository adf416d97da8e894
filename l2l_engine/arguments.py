"""Checks of what callers hand in: each error names the argument."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

_T = TypeVar("_T")

_FLOATS = ("float32", "float16", "bfloat16")
_DLPACK_CUDA = (2, 13)  # device memory, managed memory


def positive(name: str, value: int) -> int:
    """The value as an integer of at least 1."""
    return at_least(name, value, 1)


def at_least(name: str, value: int, least: int) -> int:
    """The value as an integer of at least ``least``."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    if number < least:
        raise ValueError(f"{name} must be at least {least}, not {number}")
    return number


def boolean(name: str, value: object) -> bool:
    """The value as True or False, which it must be already."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return bool(value)


def positive_seconds(name: str, value: float) -> float:
    """The value as a finite number of seconds above 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be positive and finite, not {value!r}")
    return float(value)


def number(name: str, value: float, *, most: float = math.inf) -> float:
    """The value as a finite number above 0 and at most ``most``."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not (math.isfinite(value) and 0 < value <= most):
        bound = "positive and finite" if math.isinf(most) else f"above 0 and at most {most:g}"
        raise ValueError(f"{name} must be {bound}, not {value!r}")
    return float(value)


def one_of(name: str, value: _T, allowed: Sequence[object]) -> _T:
    """The value, if it is one of the words allowed."""
    words = ", ".join(map(repr, allowed))
    if not isinstance(value, str):
        raise TypeError(f"{name} must be one of {words}, not {type(value).__name__}")
    if value not in allowed:
        raise ValueError(f"{name} must be one of {words}, not {value!r}")
    return value


def integer(name: str, value: object) -> int:
    """The value as a plain int, from anything that is an integer; bool is none."""
    if isinstance(value, bool):
        raise TypeError(f"{name}: expected an integer, got bool")
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # that is what the except is for
    except TypeError:
        raise TypeError(f"{name}: expected an integer, got {type(value).__name__}") from None
    if abs(number) > 1 << 31:
        raise ValueError(f"{name}: {number} is out of range")
    return number


def times(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """Seconds, float64 [N]; the skimmer checks that they increase."""
    array = _numbers(name, value).astype(np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must have one axis, not shape {array.shape}")
    return array


def features(name: str, value: ArrayLike, dimension: int) -> NDArray[np.float32]:
    """A bank of features, float32 [M, D] with M at least 1."""
    array = _numbers(name, value)
    if array.ndim != 2 or array.shape[1] != dimension or not len(array):
        raise ValueError(f"{name} must have shape [M, {dimension}] with M at least 1, not {array.shape}")
    return np.ascontiguousarray(array, np.float32)


def _numbers(name: str, value: ArrayLike) -> np.ndarray[tuple[int, ...], np.dtype[np.number]]:
    array = np.asarray(value)
    if not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
        raise TypeError(f"{name} must hold real numbers, not {array.dtype}")
    return array


def _array(name: str, value: ArrayLike | None) -> NDArray[Any]:
    if value is None:
        raise TypeError(f"{name}: expected an array, got None")
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def float32(name: str, value: ArrayLike | None) -> NDArray[np.float32]:
    """The value as a contiguous float32 array, from any of the three float formats that are stored."""
    array = _array(name, value)
    if array.dtype.name not in _FLOATS:
        raise TypeError(f"{name}: expected {', '.join(_FLOATS)}, got {array.dtype.name}")
    return np.ascontiguousarray(array, np.float32).reshape(array.shape)


def float64(name: str, value: ArrayLike | None) -> NDArray[np.float64]:
    """The value as a contiguous float64 array, from real numbers."""
    array = _array(name, value)
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        raise TypeError(f"{name}: expected float64, got {array.dtype.name}")
    return np.ascontiguousarray(array, np.float64).reshape(array.shape)


def int64(name: str, value: ArrayLike | None) -> NDArray[np.int64] | None:
    """The value as a contiguous int64 array, from integers; None stays None."""
    if value is None:
        return None
    array = np.asarray(value)
    if array.dtype.kind not in "iu" or array.dtype == np.uint64:
        raise TypeError(f"{name}: expected int64, got {array.dtype.name}")
    return np.ascontiguousarray(array, np.int64).reshape(array.shape)


def mask(name: str, value: ArrayLike | None) -> NDArray[np.bool_] | None:
    """The value as a contiguous bool array; None stays None."""
    if value is None:
        return None
    array = _array(name, value)
    if array.dtype != np.bool_:
        raise TypeError(f"{name}: expected bool, got {array.dtype.name}")
    return np.ascontiguousarray(array, np.bool_).reshape(array.shape)


def is_on_device(value: object) -> bool:
    """Whether an array offers CUDA memory: by DLPack, or by ``__cuda_array_interface__``."""
    if hasattr(value, "__dlpack_device__"):
        return bool(value.__dlpack_device__()[0] in _DLPACK_CUDA)
    return hasattr(value, "__cuda_array_interface__")

"""Arguments on their way to the GPU: arrays and streams of PyTorch, CuPy, PyCUDA and others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from l2l_engine import arguments
from l2l_engine.arguments import is_on_device
from l2l_engine.cuda import native

if TYPE_CHECKING:
    from l2l_engine._cuda import DeviceArray, Stream

_Convert = Callable[[str, Any], "NDArray[Any] | None"]


def rows_of(name: str, array: Any) -> int:
    """Length of an array's first axis, whoever made it.

    Raises:
        TypeError, ValueError: It does not say, or has no axis.
    """
    shape = getattr(array, "shape", None)
    if shape is None:
        shape = getattr(array, "__cuda_array_interface__", {}).get("shape")
    if shape is None:
        raise TypeError(f"{name}: an array on a device must say its shape")
    if not len(shape):
        raise ValueError(f"{name} must have two axes, not none")
    return int(shape[0])


def to_stream(stream: object) -> Stream:
    """A stream from None (the legacy default stream), a handle, or an object that has one.

    Known are ``__cuda_stream__()``, PyTorch's ``cuda_stream``, CuPy's ``ptr``, PyCUDA's and Numba's
    ``handle``.

    Raises:
        TypeError: It is none of these.
    """

    def make(handle: int, owner: object) -> Stream:
        made: Stream = native.module().Stream(handle, owner)
        return made

    if stream is None:
        return make(0, None)
    if isinstance(stream, int) and not isinstance(stream, bool):
        if stream < 0:
            raise ValueError(f"stream: {stream} is no handle")
        return make(stream, None)
    handle: Any = None
    if hasattr(stream, "__cuda_stream__"):
        handle = stream.__cuda_stream__()[1]
    else:
        names = (name for name in ("cuda_stream", "ptr", "handle") if hasattr(stream, name))
        handle = getattr(stream, next(names, ""), None)
    handle = getattr(handle, "value", handle)  # Numba's is a c_void_p
    if isinstance(handle, bool) or not isinstance(handle, int):
        raise TypeError(f"stream: expected a handle or a stream object, got {type(stream).__name__}")
    return make(handle, stream)


class Arguments:
    """Takes the arguments of one call to its stream and device; what is on the host is checked and copied.

    It is a :class:`l2l_engine.skim.inputs.Taker`.
    """

    def __init__(self, stream: object, device: int | None = None) -> None:
        self.stream = to_stream(stream)
        self.device = device

    def settle(self, **values: object) -> None:
        """Without a device given: the one that the first array on any is on."""
        for name, value in values.items():
            if self.device is None and is_on_device(value):
                self.device = self.imported(name, value).device

    def imported(self, name: str, value: Any) -> DeviceArray:
        """An array on a device, without a copy; the call's stream waits for what its maker says it must."""
        module = native.module()
        if isinstance(value, module.DeviceArray):
            module.await_array(value, self.stream)
            own: DeviceArray = value
            return own
        if not hasattr(value, "__dlpack_device__"):
            shared: DeviceArray = module.from_interface(name, value, self.stream)
            return shared
        number = self.stream.handle or 1
        try:
            try:
                capsule = value.__dlpack__(stream=number, max_version=(1, 0))
            except TypeError:  # from before versions
                capsule = value.__dlpack__(stream=number)
        except (BufferError, RuntimeError) as error:
            raise ValueError(f"{name}: {error}") from error
        taken: DeviceArray = module.from_capsule(name, capsule, self.stream)
        return taken

    def _taken(self, name: str, value: Any, convert: _Convert) -> DeviceArray | None:
        if value is None:
            return None
        if is_on_device(value):
            return self.imported(name, value)
        array = convert(name, value)
        native.require(self.device or 0)
        copy: DeviceArray = native.module().upload(array, self.device or 0, self.stream)
        return copy

    def required(self, name: str, value: Any, convert: _Convert) -> DeviceArray:
        """Likewise, but None is refused."""
        taken = self._taken(name, value, convert)
        if taken is None:
            raise TypeError(f"{name}: expected an array, got None")
        return taken

    def features(self, name: str, value: Any, lengths: Any = None) -> DeviceArray:
        """float32, or on the device any of the three float types; finite, where that can be seen."""
        return self.required(name, value, lambda n, v: _finite(n, arguments.float32(n, v), lengths))

    def times(self, name: str, value: Any, lengths: Any = None, *, knots: bool = False) -> DeviceArray:
        """float64; finite and, for knots, increasing, where that can be seen."""

        def checked(name: str, value: Any) -> NDArray[np.float64]:
            array = _finite(name, arguments.float64(name, value), lengths)
            for row in _rows(array, lengths) if knots else ():
                if not (np.diff(row) > 0).all():
                    raise ValueError(f"{name}: knots must be strictly increasing")
            return array

        return self.required(name, value, checked)

    def lengths(self, name: str, value: Any, most: int) -> DeviceArray | None:
        """int64, from 1 to ``most``, where that can be seen."""

        def checked(name: str, value: Any) -> NDArray[np.int64] | None:
            array = arguments.int64(name, value)
            if array is not None and array.size and (array.min() < 1 or array.max() > most):
                raise ValueError(f"{name}: a value is not between 1 and {most}")
            return array

        return self._taken(name, value, checked)

    def numbers(self, name: str, value: Any, rows: int) -> DeviceArray:
        """int64, from 0 to below ``rows``, where that can be seen."""

        def checked(name: str, value: Any) -> NDArray[np.int64] | None:
            array = arguments.int64(name, value)
            if array is not None and array.size and (array.min() < 0 or array.max() >= rows):
                raise ValueError(f"{name}: a value is not between 0 and {rows - 1}")
            return array

        return self.required(name, value, checked)

    def mask(self, name: str, value: Any) -> DeviceArray | None:
        """bool."""
        return self._taken(name, value, arguments.mask)


def _rows(array: NDArray[Any], lengths: Any) -> list[NDArray[Any]]:
    """What counts of each row; nothing where that stands on the device only, or nothing fits anyway."""
    if array.ndim < 2 or (lengths is not None and is_on_device(lengths)):
        return []
    if lengths is None:
        return list(array)
    counts = np.asarray(lengths)
    fit = counts.shape == array.shape[:1] and counts.dtype.kind in "iu"
    if not fit or (counts < 1).any() or (counts > array.shape[1]).any():
        return []
    return [row[:count] for row, count in zip(array, counts, strict=True)]


def _finite(name: str, array: NDArray[Any], lengths: Any) -> NDArray[Any]:
    if not all(np.isfinite(row).all() for row in _rows(array, lengths)):
        raise ValueError(f"{name}: contains a value that is not finite")
    return array


class SharedArray(Protocol):
    """An array in GPU memory, as PyTorch, CuPy and PyCUDA make them."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]: ...


def device_pointer(name: str, array: SharedArray, dtype: np.dtype[Any], shape: tuple[int, ...]) -> int:
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

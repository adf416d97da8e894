"""Which NVIDIA GPU there is, asked of the driver itself, so that nothing else need be installed to know."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

from l2l_engine.errors import DeviceError

_LIBRARY = "libcuda.so.1"
# From the driver API: CUdevice_attribute and CUresult.
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76
_NO_DEVICE = 100


@dataclass(frozen=True, slots=True)
class GPU:
    """A GPU that this process may use.

    Attributes:
        name: As the driver says it, e.g. "NVIDIA L4".
        capability: Compute capability, e.g. (8, 9).
        driver: Newest CUDA version the driver supports, e.g. (13, 0).
    """

    name: str
    capability: tuple[int, int]
    driver: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.name}, sm{self.capability[0]}{self.capability[1]}"


def find_gpu(number: int = 0) -> GPU:
    """A GPU by its number, counted from 0.

    Raises:
        DeviceError: Saying whether the driver or the GPU is missing.
    """
    driver = _driver()
    count = _count(driver)
    if number >= count:
        raise DeviceError(f"there is no GPU {number}: {count} can be used here, counted from 0")
    version, device = ctypes.c_int(), ctypes.c_int()
    name = ctypes.create_string_buffer(256)
    _check(driver.cuDriverGetVersion(ctypes.byref(version)), "cuDriverGetVersion")
    _check(driver.cuDeviceGet(ctypes.byref(device), number), "cuDeviceGet")
    _check(driver.cuDeviceGetName(name, len(name), device), "cuDeviceGetName")
    return GPU(
        name=name.value.decode(errors="replace"),
        capability=(
            _attribute(driver, _CAPABILITY_MAJOR, device),
            _attribute(driver, _CAPABILITY_MINOR, device),
        ),
        driver=(version.value // 1000, version.value % 1000 // 10),
    )


def count_gpus() -> int:
    """How many GPUs there are, at least one.

    Raises:
        DeviceError: As :func:`find_gpu`.
    """
    return _count(_driver())


def library() -> str:
    """File name of the driver's library."""
    return _LIBRARY


def _count(driver: Any) -> int:
    count = ctypes.c_int()
    status = driver.cuInit(0)
    if status not in (0, _NO_DEVICE):
        raise DeviceError(f"the NVIDIA driver does not start (cuInit gave {status}): reboot, or reinstall it")
    if status == _NO_DEVICE or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        raise DeviceError(
            "the NVIDIA driver is there, but no GPU: none is built in, CUDA_VISIBLE_DEVICES hides it, "
            "or the container was started without one"
        )
    return count.value


def _driver() -> Any:
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise DeviceError(
            f"there is no NVIDIA driver ({_LIBRARY}): install the GPU's, or start the container with it"
        ) from error


def _attribute(driver: Any, attribute: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int()
    _check(driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device), "cuDeviceGetAttribute")
    return value.value


def _check(status: int, call: str) -> None:
    if status:
        raise DeviceError(f"the NVIDIA driver fails: {call} gave {status}")

"""The CUDA module, which is there if the package was built with nvcc; it loads without a driver."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from l2l_engine.errors import DeviceError, DeviceLostError

if TYPE_CHECKING:
    from types import ModuleType

_NAME = "l2l_engine._cuda"


def module() -> ModuleType:
    """The native module.

    Raises:
        DeviceError: This build of the package has none.
    """
    try:
        return importlib.import_module(_NAME)
    except ModuleNotFoundError as error:
        if error.name != _NAME:
            raise
        raise DeviceError(
            "CUDA cannot be used: this build of l2l_engine has no CUDA side; "
            "install it from its sources with L2L_CUDA=ON where nvcc is on the PATH"
        ) from None


def require(device: int = 0) -> None:
    """Raise DeviceError that says what is missing unless GPU number ``device`` can be used."""
    module().require_device(device)


def why_not(device: int = 0) -> str | None:
    """What keeps GPU number ``device`` from being used; None where nothing does.

    Raises:
        DeviceLostError: The GPU is lost to this process, which is no reason to take another way.
    """
    try:
        require(device)
    except DeviceLostError:
        raise
    except DeviceError as error:
        return str(error)
    return None

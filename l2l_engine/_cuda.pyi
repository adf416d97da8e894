"""The native core's CUDA side (csrc/bindings/cuda_*.cpp), where the package was built with it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

def require_device(device: int) -> None: ...
def device_name(device: int) -> str: ...

class Stream:
    def __init__(self, handle: int, owner: object) -> None: ...
    @property
    def handle(self) -> int: ...

class DeviceArray:
    """A C-contiguous array on a GPU."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def ndim(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def device(self) -> int: ...
    @property
    def read_only(self) -> bool: ...
    @property
    def stream(self) -> Stream: ...
    @property
    def __cuda_array_interface__(self) -> dict[str, Any]: ...
    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...
    def numpy(self) -> NDArray[Any]: ...

def empty(shape: tuple[int, ...], device: int, stream: Stream) -> DeviceArray: ...
def upload(array: NDArray[Any], device: int, stream: Stream) -> DeviceArray: ...
def from_interface(name: str, source: object, stream: Stream) -> DeviceArray: ...
def from_capsule(name: str, capsule: object, stream: Stream) -> DeviceArray: ...
def synchronize(array: DeviceArray) -> None: ...
def await_array(array: DeviceArray, stream: Stream, reads: bool = True) -> None: ...
def interpolate(
    features: DeviceArray, knot_times: DeviceArray, timestamps: DeviceArray, out: DeviceArray, stream: Stream
) -> None: ...
def gather(features: DeviceArray, order: DeviceArray, out: DeviceArray, stream: Stream) -> None: ...
def soft_index(
    banks: list[DeviceArray],
    times: list[DeviceArray],
    timestamps: DeviceArray,
    queries: list[DeviceArray],
    modality_scores: DeviceArray,
    bank_lengths: list[DeviceArray | None],
    lengths: DeviceArray | None,
    excluded: list[DeviceArray | None],
    precision: str,
    stream: Stream,
) -> tuple[DeviceArray, DeviceArray, DeviceArray, DeviceArray]: ...

class Skimmer:
    def __init__(
        self,
        weights: dict[str, NDArray[np.float32]],
        relu_keys: bool,
        exclude_previous_argmax: bool,
        precision: str,
        device: int,
    ) -> None: ...
    def run(
        self,
        banks: list[DeviceArray | None],
        times: list[DeviceArray | None],
        timestamps: DeviceArray,
        steps: int,
        bank_lengths: list[DeviceArray | None],
        lengths: DeviceArray | None,
        stream: Stream,
        persistent: bool | None,
        projected: bool | None,
        workspace: DeviceArray | None,
        out: list[DeviceArray] | None,
        timed: bool,
    ) -> tuple[Any, ...]: ...
    def launch_for(
        self,
        batch: int,
        moments: int,
        image_knots: int,
        audio_knots: int,
        steps: int,
        persistent: bool | None,
        projected: bool | None,
    ) -> dict[str, Any]: ...
    def space_for(
        self,
        batch: int,
        moments: int,
        image_knots: int,
        audio_knots: int,
        steps: int,
        projected: bool | None,
    ) -> tuple[int, list[list[int]]]: ...
    @property
    def device(self) -> int: ...
    @property
    def feature_size(self) -> int: ...
    @property
    def class_count(self) -> int: ...
    @property
    def precision(self) -> str: ...
    @property
    def visual_only(self) -> bool: ...

"""What queues the skimmer's work on a stream, and the stream itself."""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from l2l_engine.cuda import CudaSkimmer, CudaSkimResult, Space, gather, native
from l2l_engine.cuda.arrays import to_stream
from l2l_engine.errors import DeviceError
from l2l_engine.gpu.device import Device, View
from l2l_engine.skim import Modality

if TYPE_CHECKING:
    from l2l_engine.cuda import DeviceArray

Banks = tuple[tuple[View, View] | None, tuple[View, View] | None]
"""Image and audio: features float32 [1, K, D] and times float64 [1, K]."""


class OwnStream:
    """A stream that ends with the last who holds it. What is on it comes before what encoders have queued.

    Memory that is freed in its order holds it too, and may outlive whoever queued: an exception keeps the
    variables of all that it passed through.
    """

    def __init__(self, device: Device) -> None:
        self.handle = device.stream(urgent=True)
        weakref.finalize(self, _end, device, self.handle, os.getpid()).atexit = False


def _end(device: Device, handle: int, pid: int) -> None:
    if os.getpid() == pid:  # a forked child has no GPU
        with suppress(DeviceError):
            device.end_stream(handle)


def handle_of(stream: OwnStream | int) -> int:
    """The stream's handle."""
    return stream if isinstance(stream, int) else stream.handle


class Kernels(Protocol):
    """What queues the skimmer's work; see :class:`CudaKernels`."""

    @property
    def sizes(self) -> tuple[int, int]:
        """D, and the number of classes."""

    def gather(self, rows: View, order: View, out: View, stream: OwnStream) -> None:
        """Queue ``out[0, k] = rows[0, order[0, k]]``; the order is int64 [1, K]."""

    def space(self, moments: int, knots: tuple[int, int], steps: int, stream: OwnStream) -> Space:
        """Memory for a run that can be captured."""

    def skim(
        self, banks: Banks, timestamps: View, steps: int, stream: OwnStream | int, space: Space | None
    ) -> CudaSkimResult:
        """Queue a run. Without a space it takes memory, which needs the stream itself, not its handle."""

    def upload(self, features: NDArray[np.float32], stream: OwnStream) -> DeviceArray:
        """Queue a copy of an array of the host, which may be changed at once."""

    def new(self, rows: int, stream: OwnStream) -> DeviceArray:
        """A new array float32 [rows, D] for whoever may outlive all this, ready to be written on a stream."""


class CudaKernels:
    """The CUDA side of the native core.

    Args:
        skimmer: None for a plan without one: then nothing may be skimmed.
        sizes: D, and the number of classes.
        number: Of the GPU.
    """

    def __init__(self, skimmer: CudaSkimmer | None, sizes: tuple[int, int], number: int = 0) -> None:
        self._made, self.sizes, self._device = skimmer, sizes, number

    @property
    def _skimmer(self) -> CudaSkimmer:
        assert self._made is not None, "this plan has no skimmer"
        return self._made

    def gather(self, rows: View, order: View, out: View, stream: OwnStream) -> None:
        """Queue the rows in another order."""
        gather(rows, order, stream=stream, out=out)

    def space(self, moments: int, knots: tuple[int, int], steps: int, stream: OwnStream) -> Space:
        """Memory for a run that can be captured."""
        return self._skimmer.space(1, moments, *knots, steps, stream=stream)

    def skim(
        self, banks: Banks, timestamps: View, steps: int, stream: OwnStream | int, space: Space | None
    ) -> CudaSkimResult:
        """Queue a run."""
        image, audio = banks
        modality: Modality = "both"
        if image is None:
            modality = "audio"
        elif audio is None:
            modality = "image"
        return self._skimmer.run(
            None if image is None else image[0],
            None if audio is None else audio[0],
            None if image is None else image[1],
            None if audio is None else audio[1],
            timestamps,
            steps,
            modality=modality,
            stream=stream,
            space=space,
        )

    def upload(self, features: NDArray[np.float32], stream: OwnStream) -> DeviceArray:
        """Queue a copy of an array of the host, which may be changed at once."""
        copy: DeviceArray = native.module().upload(features, self._device, to_stream(stream))
        return copy

    def new(self, rows: int, stream: OwnStream) -> DeviceArray:
        """A new array float32 [rows, D], in the order of the default stream, which nobody ends."""
        made: DeviceArray = native.module().empty((rows, self.sizes[0]), self._device, to_stream(None))
        # Whoever writes it waits for the end of that, so that the stream need not live as long as the array.
        native.module().await_array(made, to_stream(stream), reads=False)
        return made

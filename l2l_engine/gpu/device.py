"""What the pipeline asks of a GPU: memory, streams, events, graphs. A small protocol: tests have a twin.

Handles of streams and events are integers, as CUDA's own are; addresses too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Block(Protocol):
    """Memory on the device, or pinned memory of the host."""

    @property
    def pointer(self) -> int:
        """Its address."""

    @property
    def nbytes(self) -> int:
        """Its size."""

    def free(self) -> None:
        """Give it back at once: nothing may use it any more. Safe to call twice."""


class Pinned(Block, Protocol):
    """Memory of the host that the device reads and writes by itself."""

    @property
    def array(self) -> NDArray[np.uint8]:
        """Its bytes, [nbytes]."""


class Device(Protocol):
    """One GPU. Safe from many threads.

    All methods raise DeviceError if the device fails, DeviceMemoryError if memory runs out, and, from the
    first error on that CUDA does not recover from, DeviceLostError.
    """

    @property
    def name(self) -> str:
        """The GPU's name."""

    @property
    def number(self) -> int:
        """Which GPU, counted from 0."""

    def use(self) -> AbstractContextManager[None]:
        """Make it the calling thread's device meanwhile, for libraries that work on whichever that is."""

    def require(self) -> None:
        """Raise DeviceLostError if the device is lost to this process, whoever's call it was that lost it.

        To be asked before another way is taken because something failed on the device.
        """

    def allocate(self, nbytes: int) -> Block:
        """Memory on the device."""

    def pin(self, nbytes: int) -> Pinned:
        """Memory of the host for copies that nobody waits for."""

    def stream(self, *, urgent: bool = False) -> int:
        """A new stream, which waits for no other by itself; work on an urgent one goes first."""

    def end_stream(self, stream: int) -> None:
        """Let go of a stream; what is queued on it is still done."""

    def event(self) -> int:
        """A new event."""

    def end_event(self, event: int) -> None:
        """Let go of an event."""

    def record(self, event: int, stream: int) -> None:
        """The event stands for what is queued on the stream by now."""

    def wait(self, stream: int, event: int) -> None:
        """What is queued on the stream from now on waits for the event as it was recorded last."""

    def synchronize(self, event: int) -> None:
        """Wait in this thread until the device has passed the event."""

    def upload(self, to: int, source: int, nbytes: int, stream: int) -> None:
        """Queue a copy from pinned memory of the host."""

    def download(self, to: int, source: int, nbytes: int, stream: int) -> None:
        """Queue a copy to pinned memory of the host."""

    def copy(self, to: int, source: int, nbytes: int, stream: int) -> None:
        """Queue a copy on the device."""

    def capture(self, work: Callable[[int], None]) -> int:
        """A graph of what ``work`` queues on the stream it is called with, which is not done now.

        The stream is there for this alone, so that no other thread records events on it, waits for it or
        makes it wait, which would break the capture or become part of it. A graph's work takes its place
        in the order of the stream it is launched on. ``work`` may only queue: it makes and frees nothing
        and never waits.
        """

    def launch(self, graph: int, stream: int) -> None:
        """Queue all of a graph."""

    def end_graph(self, graph: int) -> None:
        """Let go of a graph that is not under way."""


def device_name(number: int) -> str:
    """What a caller names a GPU: "cuda" is the first, "cuda:1" the second."""
    return f"cuda:{number}" if number else "cuda"


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A contiguous array in memory of the device, for whoever knows ``__cuda_array_interface__``.

    It does not say on which stream its values come: whoever takes it works on the right one.
    """

    pointer: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    owner: object = None

    @property
    def nbytes(self) -> int:
        """Its size."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.pointer, False),
            "strides": None,
            "version": 3,
            "stream": None,
        }


def view(
    block: Block, shape: tuple[int, ...], dtype: type[np.generic] | np.dtype[Any], *, offset: int = 0
) -> View:
    """An array in ``block``, ``offset`` bytes behind its start."""
    made = View(block.pointer + offset, shape, np.dtype(dtype), block)
    assert offset + made.nbytes <= block.nbytes, "an array reaches past its memory"
    return made

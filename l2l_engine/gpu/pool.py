"""Memory of the device that is used over and over, in the order of streams."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from l2l_engine.errors import DeviceMemoryError
from l2l_engine.gpu.device import Block, Device

_SMALLEST = 1 << 16


@dataclass(slots=True)
class _Idle:
    block: Block
    passed: int
    """Event: once it is passed, nothing uses the block any more."""


class Pool:
    """Blocks that were given back, by size; a size is a power of two, so that another video's will do.

    Safe from many threads.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._lock = threading.Lock()
        self._idle: dict[int, list[_Idle]] = {}
        self._events: list[int] = []
        self._blocks = 0

    @property
    def blocks(self) -> int:
        """Blocks there are, in use or not."""
        return self._blocks

    def take(self, nbytes: int, stream: int) -> Block:
        """Memory for what is queued on the stream from now on.

        Raises:
            DeviceMemoryError: The device has not enough, even without what is idle here.
        """
        size = max(_SMALLEST, 1 << (nbytes - 1).bit_length())
        with self._lock:
            waiting = self._idle.get(size)
            found = waiting.pop() if waiting else None
        if found is None:
            return self._allocate(size)
        self._device.wait(stream, found.passed)
        with self._lock:
            self._events.append(found.passed)
        return found.block

    def give(self, block: Block, stream: int) -> None:
        """Take memory back, which is in use until the stream has done what is queued on it by now."""
        with self._lock:
            event = self._events.pop() if self._events else None
        if event is None:
            event = self._device.event()
        self._device.record(event, stream)
        with self._lock:
            self._idle.setdefault(block.nbytes, []).append(_Idle(block, event))

    def shrink(self) -> None:
        """Free what is idle."""
        with self._lock:
            idle, self._idle = [entry for some in self._idle.values() for entry in some], {}
        for entry in idle:
            self._device.synchronize(entry.passed)
            entry.block.free()
        with self._lock:
            self._blocks -= len(idle)
            self._events += [entry.passed for entry in idle]

    def close(self) -> None:
        """Free what is idle, and the events; everything must have been given back."""
        self.shrink()
        for event in self._events:
            self._device.end_event(event)
        self._events = []

    def _allocate(self, size: int) -> Block:
        try:
            block = self._device.allocate(size)
        except DeviceMemoryError:
            self.shrink()
            block = self._device.allocate(size)
        with self._lock:
            self._blocks += 1
        return block

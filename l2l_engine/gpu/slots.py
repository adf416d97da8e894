"""Calls of a network under way at once, each with memory of its own that is used over and over."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from l2l_engine.errors import DeviceError, DeviceMemoryError
from l2l_engine.gpu.device import Block, Device, Pinned, View, view
from l2l_engine.gpu.graphs import Graphs

FULL = 32
"""Samples of a call that is worth making while more are still decoded, and that runs as a CUDA graph."""
SIZES = (1, 2, 4, 8, 16, FULL, 64)
"""Samples of a call: a network is prepared for each size it meets, so there are few. Others are filled up."""
SLOTS = 3
"""Calls under way at once; before the next, the thread waits for the oldest."""


@dataclass(frozen=True, slots=True, eq=False)
class DeviceSample:
    """A sample that is on the device already, there for whatever is queued on its encoder's stream.

    ``owner`` keeps its memory.
    """

    pointer: int
    owner: object


Sample = NDArray[Any] | DeviceSample


class Worker(Protocol):
    """A network ready to run on a stream.

    See :class:`l2l_engine.backends.tensorrt_encoder.TensorRTWorker`.
    """

    def enqueue(self, batch: View, features: View, stream: int) -> None:
        """Queue one call: features float32 [B, D] of a batch [B, ...]."""


class Network(Protocol):
    """A network on the device.

    See :class:`l2l_engine.backends.tensorrt_encoder.TensorRTEncoder`.
    """

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""

    @property
    def features(self) -> int:
        """Length D of the feature."""

    @property
    def batch(self) -> range:
        """Samples a call may have."""

    @property
    def alignment(self) -> int:
        """Bytes that a batch has to begin on a multiple of."""

    def worker(self) -> Worker:
        """One for calls that are queued one after the other; some are captured, which is not done at once."""


@dataclass(slots=True, eq=False)
class Slot:
    """Memory of one call under way."""

    pinned: Pinned
    batch: Block
    features: Block
    passed: int
    host: NDArray[Any]
    """``pinned`` as samples, [B, ...]."""
    under_way: bool = False
    keep: list[object] = field(default_factory=list)
    """What must not go before the call has passed."""
    runs: int = 0
    graph: int | None = None


class Slots:
    """The calls of one network on one stream. For one thread at a time.

    Args:
        device: Where it runs.
        network: What runs.
        dtype: Of a sample.
        stream: On which everything is queued; graphs are captured elsewhere and launched on it.
    """

    def __init__(self, device: Device, network: Network, dtype: np.dtype[Any], stream: int) -> None:
        self._device, self._network, self._dtype, self._stream = device, network, dtype, stream
        self.sizes = [size for size in SIZES if size in network.batch]
        if not self.sizes or self.sizes[0] != 1:
            raise DeviceError(f"an engine for batches of {network.batch} cannot be used: the least must be 1")
        self._slots: deque[Slot] = deque()
        self._graphs = Graphs(device, "an encoder")
        self._worker = network.worker()
        # A graph remembers what a context was prepared for, so the full batch has one of its own.
        self._full = network.worker() if FULL in self.sizes else self._worker
        self._sample_bytes = int(np.prod(network.input_shape)) * dtype.itemsize

    def next(self) -> Slot:
        """The slot used longest ago, once its call has passed; a new one while there are few."""
        slot = self._new_slot() if len(self._slots) < SLOTS else None
        if slot is None:
            slot = self._slots.popleft()
        self._slots.append(slot)
        self._settle(slot)
        return slot

    def run(self, slot: Slot, samples: Sequence[Sample]) -> View:
        """Queue one call; its features float32 [B, D], of which the first are those of ``samples``."""
        size = next(size for size in self.sizes if size >= len(samples))
        features = view(slot.features, (size, self._network.features), np.float32)
        in_place = None
        if size == len(samples):
            in_place = in_a_row(samples, self._sample_bytes, self._network.alignment)
        if in_place is not None:
            slot.keep = [sample.owner for sample in samples if isinstance(sample, DeviceSample)]
            batch = View(in_place, (size, *self._network.input_shape), self._dtype)
            (self._full if size == FULL else self._worker).enqueue(batch, features, self._stream)
            return features
        self._stage(slot, samples)
        batch = view(slot.batch, (size, *self._network.input_shape), self._dtype)
        if size == FULL:
            self._run_full(slot, batch, features)
        else:
            self._worker.enqueue(batch, features, self._stream)
        return features

    def queued(self, slot: Slot) -> None:
        """To be called after whatever was queued that uses the slot, also where that failed."""
        self._device.record(slot.passed, self._stream)
        slot.under_way = True

    def close(self) -> None:
        """Wait for what is under way, and free all memory."""
        for slot in self._slots:
            self._settle(slot)
            self._free(slot)
        self._slots.clear()

    def _run_full(self, slot: Slot, batch: View, features: View) -> None:
        """A full batch: as a CUDA graph from the second time on, if the network can be captured."""
        slot.runs += 1
        if slot.graph is None and slot.runs > 1:
            slot.graph = self._graphs.capture(lambda stream: self._full.enqueue(batch, features, stream))
        if slot.graph is None:
            self._full.enqueue(batch, features, self._stream)
        else:
            self._device.launch(slot.graph, self._stream)

    def _stage(self, slot: Slot, samples: Sequence[Sample]) -> None:
        """Queue the copies that bring samples from wherever they are into the slot's batch."""
        step = self._sample_bytes
        for begin, run in runs(samples, step):
            target, first = slot.batch.pointer + begin * step, run[0]
            if isinstance(first, DeviceSample):
                slot.keep += [sample.owner for sample in run if isinstance(sample, DeviceSample)]
                self._device.copy(target, first.pointer, len(run) * step, self._stream)
                continue
            for i, sample in enumerate(run):
                slot.host[begin + i] = sample
            source = slot.pinned.pointer + begin * step
            self._device.upload(target, source, len(run) * step, self._stream)

    def _settle(self, slot: Slot) -> None:
        if slot.under_way:
            self._device.synchronize(slot.passed)
            slot.under_way = False
        slot.keep = []

    def _new_slot(self) -> Slot | None:
        """Another slot; None if memory is short and the others will do."""
        most, made = self.sizes[-1], list[Block]()
        try:
            pinned = self._device.pin(most * self._sample_bytes)
            made.append(pinned)
            batch = self._device.allocate(most * self._sample_bytes)
            made.append(batch)
            features = self._device.allocate(4 * most * self._network.features)
        except DeviceMemoryError:
            for block in made:
                block.free()
            if self._slots:
                return None
            raise
        host = pinned.array.view(self._dtype).reshape(most, *self._network.input_shape)
        return Slot(pinned, batch, features, self._device.event(), host)

    def _free(self, slot: Slot) -> None:
        if slot.graph is not None:
            self._device.end_graph(slot.graph)
        for block in (slot.pinned, slot.batch, slot.features):
            block.free()
        self._device.end_event(slot.passed)


def in_a_row(samples: Sequence[Sample], step: int, alignment: int) -> int | None:
    """Where the samples lie, if they are on the device one behind the other from a multiple of bytes on."""
    found = list(runs(samples, step))
    first = found[0][1][0]
    if len(found) > 1 or not isinstance(first, DeviceSample) or first.pointer % alignment:
        return None
    return first.pointer


def runs(samples: Sequence[Sample], step: int) -> Iterator[tuple[int, Sequence[Sample]]]:
    """Neighbours that one copy brings: on the host, or one behind the other on the device."""
    begin = 0
    for i in range(1, len(samples) + 1):
        if i < len(samples) and _follows(samples[i - 1], samples[i], step):
            continue
        yield begin, samples[begin:i]
        begin = i


def _follows(before: Sample, after: Sample, step: int) -> bool:
    if isinstance(before, DeviceSample) and isinstance(after, DeviceSample):
        return after.pointer == before.pointer + step
    return not isinstance(before, DeviceSample) and not isinstance(after, DeviceSample)

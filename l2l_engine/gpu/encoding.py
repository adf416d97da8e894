"""Encoders on the device: samples of several videos go through a network together; nobody waits for it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from l2l_engine.cuda.device import Block, Device, Pinned, View, view
from l2l_engine.errors import DeviceError, DeviceMemoryError
from l2l_engine.gpu.pool import Pool
from l2l_engine.gpu.rows import Rows

FULL = 32
"""Samples of a call that is worth making while more are still decoded, and that runs as a CUDA graph."""
SIZES = (1, 2, 4, 8, 16, FULL, 64)
"""Samples of a call: a network is prepared for each size it meets, so there are few. Others are filled up."""
_SLOTS = 3
"""Calls under way at once; before the next, the thread waits for the oldest."""

_log = logging.getLogger("l2l_engine")


class Worker(Protocol):
    """A network ready to run on a stream; see :class:`l2l_engine.backends.tensorrt.TensorRTWorker`."""

    def enqueue(self, batch: View, features: View, stream: int) -> None:
        """Queue one call: features float32 [B, D] of a batch [B, ...]."""


class Network(Protocol):
    """A network on the device; see :class:`l2l_engine.backends.tensorrt.TensorRTEncoder`."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""

    @property
    def features(self) -> int:
        """Length D of the feature."""

    @property
    def batch(self) -> range:
        """Samples a call may have."""

    def worker(self) -> Worker:
        """One for a stream of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class DeviceSample:
    """A sample that is on the device already, there for whatever is queued on its encoder's stream.

    ``owner`` keeps its memory.
    """

    pointer: int
    owner: object


Sample = NDArray[Any] | DeviceSample


@dataclass(slots=True, eq=False)
class _Request:
    samples: Sequence[Sample]
    rows: Rows
    first: int = -1
    done: bool = False
    error: BaseException | None = None


@dataclass(slots=True, eq=False)
class _Slot:
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


class DeviceEncoder:
    """One network on one stream of its own. Safe from many threads.

    A thread that comes with samples while another is queueing some waits for its turn; whoever comes next
    takes along all that waits by then, whichever video it belongs to.

    Args:
        device, pool: Where it runs.
        network: What runs.
        dtype: Of a sample.
        precision: Of the graph, e.g. "fp16".
    """

    def __init__(
        self, device: Device, pool: Pool, network: Network, *, dtype: type[np.generic], precision: str
    ) -> None:
        self._device, self._pool, self._network = device, pool, network
        self._dtype, self._precision = np.dtype(dtype), precision
        self._sizes = [size for size in SIZES if size in network.batch]
        if not self._sizes or self._sizes[0] != 1:
            raise DeviceError(f"an engine for batches of {network.batch} cannot be used: the least must be 1")
        self._turn, self._lock = threading.Lock(), threading.Lock()
        self._waiting: deque[_Request] = deque()
        self._slots: deque[_Slot] = deque()
        self._graphs = True
        self._worker = network.worker()
        # A graph remembers what a context was prepared for, so the full batch has one of its own.
        self._full = network.worker() if FULL in self._sizes else self._worker
        self.stream = device.stream()
        self.calls = 0
        """Calls of the network so far."""

    @property
    def precision(self) -> str:
        """The arithmetic of the graph, e.g. "fp16"."""
        return self._precision

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample, without the batch axis."""
        return self._network.input_shape

    @property
    def features(self) -> int:
        """Length D of the feature."""
        return self._network.features

    @property
    def most(self) -> int:
        """Samples a call, at most."""
        return self._sizes[-1]

    def rows(self) -> Rows:
        """Where the features of one video go; to be closed before this is."""
        return Rows(self._device, self._pool, self.features)

    def add(self, samples: Sequence[Sample], rows: Rows) -> int:
        """Queue the encoding of at most ``most`` samples into ``rows``; the number of the first row they get.

        Raises:
            DeviceError, DeviceMemoryError: The device fails, or lacks memory. Rows that nobody was told of
                may have been added.
        """
        assert 1 <= len(samples) <= self.most
        request = _Request(samples, rows)
        with self._lock:
            self._waiting.append(request)
        while not request.done:
            with self._turn:
                if not request.done:
                    self._take_turn()
        if request.error is not None:
            raise request.error
        return request.first

    def encode(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Features float32 [B, D] of a batch [B, ...] on the host; waits for them."""
        rows = self.rows()
        try:
            for at in range(0, len(batch), self.most):
                self.add(list(batch[at : at + self.most]), rows)
            return self._fetch(rows)
        finally:
            rows.close()

    def join(self, stream: int) -> None:
        """What is queued on ``stream`` from now on waits for what is queued here by now."""
        event = self._device.event()
        self._device.record(event, self.stream)
        self._device.wait(stream, event)
        self._device.end_event(event)

    def warmup(self) -> None:
        """Run every size of batch, the full one as often as a graph of it takes in every slot."""
        for size in self._sizes:
            for _ in range(2 * _SLOTS if size == FULL else 1):
                self.encode(np.zeros((size, *self.input_shape), self._dtype))

    def close(self) -> None:
        """Wait for what is under way, and free all memory. Nobody may use it any more."""
        for slot in self._slots:
            self._settle(slot)
            self._free(slot)
        self._slots.clear()
        self._device.end_stream(self.stream)

    def _fetch(self, rows: Rows) -> NDArray[np.float32]:
        whole = rows.view()
        pinned, event = self._device.pin(whole.nbytes), self._device.event()
        try:
            self._device.download(pinned.pointer, whole.pointer, whole.nbytes, self.stream)
            self._device.record(event, self.stream)
            self._device.synchronize(event)
            found: NDArray[np.float32] = pinned.array.view(np.float32).reshape(whole.shape[1:]).copy()
            return found
        finally:
            self._device.end_event(event)
            pinned.free()

    def _take_turn(self) -> None:
        """Queue one call for as many of those that wait as go into it."""
        taken: list[_Request] = []
        with self._lock:
            room = self.most
            while self._waiting and len(self._waiting[0].samples) <= room:
                room -= len(self._waiting[0].samples)
                taken.append(self._waiting.popleft())
        try:
            self._queue(taken)
        except BaseException as error:
            for request in taken:
                request.error = error
        finally:
            for request in taken:
                request.done = True

    def _queue(self, requests: list[_Request]) -> None:
        samples = [sample for request in requests for sample in request.samples]
        slot = self._slot()
        try:
            features = self._run(slot, samples)
            first = 0
            for request in requests:
                count = len(request.samples)
                request.first = request.rows.append(features, first, count, self.stream)
                first += count
        finally:
            # Whatever failed, what was queued uses the slot.
            self._device.record(slot.passed, self.stream)
            slot.under_way = True

    def _run(self, slot: _Slot, samples: list[Sample]) -> View:
        size = next(size for size in self._sizes if size >= len(samples))
        features = view(slot.features, (size, self.features), np.float32)
        self.calls += 1
        in_place = _in_a_row(samples, self._sample_bytes) if size == len(samples) else None
        if in_place is not None:
            slot.keep = [sample.owner for sample in samples if isinstance(sample, DeviceSample)]
            batch = View(in_place, (size, *self.input_shape), self._dtype)
            (self._full if size == FULL else self._worker).enqueue(batch, features, self.stream)
            return features
        self._stage(slot, samples)
        batch = view(slot.batch, (size, *self.input_shape), self._dtype)
        if size == FULL:
            self._run_full(slot, batch, features)
        else:
            self._worker.enqueue(batch, features, self.stream)
        return features

    def _run_full(self, slot: _Slot, batch: View, features: View) -> None:
        """A full batch: as a CUDA graph from the second time on, if the network can be captured."""
        slot.runs += 1
        if slot.graph is None and self._graphs and slot.runs > 1:
            try:
                slot.graph = self._device.capture(
                    self.stream, lambda: self._full.enqueue(batch, features, self.stream)
                )
            except DeviceMemoryError:
                raise
            except DeviceError as error:
                self._graphs = False
                _log.info("encoders run without CUDA graphs: %s", error)
        if slot.graph is None:
            self._full.enqueue(batch, features, self.stream)
        else:
            self._device.launch(slot.graph, self.stream)

    def _stage(self, slot: _Slot, samples: list[Sample]) -> None:
        """Queue the copies that bring samples from wherever they are into the slot's batch."""
        step = self._sample_bytes
        for begin, run in _runs(samples, step):
            target, first = slot.batch.pointer + begin * step, run[0]
            if isinstance(first, DeviceSample):
                slot.keep += [sample.owner for sample in run if isinstance(sample, DeviceSample)]
                self._device.copy(target, first.pointer, len(run) * step, self.stream)
                continue
            for i, sample in enumerate(run):
                slot.host[begin + i] = sample
            source = slot.pinned.pointer + begin * step
            self._device.upload(target, source, len(run) * step, self.stream)

    def _slot(self) -> _Slot:
        """The slot used longest ago, once its call has passed; a new one while there are few."""
        slot = self._new_slot() if len(self._slots) < _SLOTS else None
        if slot is None:
            slot = self._slots.popleft()
        self._slots.append(slot)
        self._settle(slot)
        return slot

    def _settle(self, slot: _Slot) -> None:
        if slot.under_way:
            self._device.synchronize(slot.passed)
            slot.under_way = False
        slot.keep = []

    def _new_slot(self) -> _Slot | None:
        """Another slot; None if memory is short and the others will do."""
        most, made = self.most, list[Block]()
        try:
            pinned = self._device.pin(most * self._sample_bytes)
            made.append(pinned)
            batch = self._device.allocate(most * self._sample_bytes)
            made.append(batch)
            features = self._device.allocate(4 * most * self.features)
        except DeviceMemoryError:
            for block in made:
                block.free()
            if self._slots:
                return None
            raise
        host = pinned.array.view(self._dtype).reshape(most, *self.input_shape)
        return _Slot(pinned, batch, features, self._device.event(), host)

    def _free(self, slot: _Slot) -> None:
        if slot.graph is not None:
            self._device.end_graph(slot.graph)
        for block in (slot.pinned, slot.batch, slot.features):
            block.free()
        self._device.end_event(slot.passed)

    @property
    def _sample_bytes(self) -> int:
        return int(np.prod(self.input_shape)) * self._dtype.itemsize


def _in_a_row(samples: list[Sample], step: int) -> int | None:
    """Where the samples lie, if they are on the device one behind the other."""
    runs = list(_runs(samples, step))
    first = runs[0][1][0]
    return first.pointer if len(runs) == 1 and isinstance(first, DeviceSample) else None


def _runs(samples: list[Sample], step: int) -> Iterator[tuple[int, list[Sample]]]:
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

"""Encoders on the device: samples of several videos go through a network together; nobody waits for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine.errors import DeviceError, DeviceLostError
from l2l_engine.gpu.device import Device
from l2l_engine.gpu.pool import Pool
from l2l_engine.gpu.rows import Rows
from l2l_engine.gpu.slots import FULL, SLOTS, Network, Sample, Slots


@dataclass(slots=True, eq=False)
class _Request:
    samples: Sequence[Sample]
    rows: Rows
    first: int = -1
    done: bool = False
    error: BaseException | None = None


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
        self.stream = device.stream()
        try:
            with device.use():
                self._slots = Slots(device, network, self._dtype, self.stream)
        except BaseException:
            device.end_stream(self.stream)
            raise
        self._turn, self._lock = threading.Lock(), threading.Lock()
        self._waiting: deque[_Request] = deque()
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
        return self._slots.sizes[-1]

    def rows(self) -> Rows:
        """Where the features of one video go; to be closed before this is."""
        return Rows(self._device, self._pool, self.features)

    def add(self, samples: Sequence[Sample], rows: Rows) -> int:
        """Queue the encoding of at most ``most`` samples into ``rows``; the number of the first row they get.

        Raises:
            DeviceError, DeviceMemoryError, DeviceLostError: The device fails, lacks memory, or is lost. Rows
                that nobody was told of may have been added.
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
        for size in self._slots.sizes:
            for _ in range(2 * SLOTS if size == FULL else 1):
                self.encode(np.zeros((size, *self.input_shape), self._dtype))

    def close(self) -> None:
        """Wait for what is under way, and free all memory. Nobody may use it any more."""
        self._slots.close()
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
            with self._device.use():
                self._queue(taken)
        except BaseException as error:
            for request in taken:
                request.error = self._cause(error)
        finally:
            for request in taken:
                request.done = True

    def _cause(self, error: BaseException) -> BaseException:
        """A network's library says in words of its own that the device is lost."""
        if isinstance(error, DeviceError):
            try:
                self._device.require()
            except DeviceLostError as lost:
                return lost
        return error

    def _queue(self, requests: list[_Request]) -> None:
        samples = [sample for request in requests for sample in request.samples]
        slot = self._slots.next()
        try:
            self.calls += 1
            features = self._slots.run(slot, samples)
            first = 0
            for request in requests:
                count = len(request.samples)
                request.first = request.rows.append(features, first, count, self.stream)
                first += count
        finally:
            # Whatever failed, what was queued uses the slot.
            self._slots.queued(slot)

"""The end of a prediction on the device: banks into order, the skimmer, and the one wait for its result."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine.cuda import CudaSkimResult, Space
from l2l_engine.errors import DeviceError, DeviceMemoryError
from l2l_engine.gpu.device import Block, Device, Pinned, View, view
from l2l_engine.gpu.graphs import Graphs
from l2l_engine.gpu.kernels import Banks, Kernels, OwnStream, handle_of
from l2l_engine.gpu.rows import Both, OrderedRows
from l2l_engine.skim import SkimResult

if TYPE_CHECKING:
    from l2l_engine.cuda import DeviceArray

_GRAPHS = 8
"""Sizes of videos whose graphs a stream keeps."""

_Queue = Callable[["OwnStream | int", "Space | None"], None]
_FIELDS = ("logits", "image_attention", "audio_attention", "modality_scores", "step_features", "step_logits")


class SkimStream:
    """A stream and the memory that one video's end takes; for one thread at a time."""

    def __init__(self, device: Device, kernels: Kernels) -> None:
        self._device, self._kernels = device, kernels
        self._own, self._done = OwnStream(device), device.event()
        self._blocks: dict[str, Block] = {}
        self._pinned: dict[str, Pinned] = {}
        self._seen: OrderedDict[tuple[int, ...], _Graph | None] = OrderedDict()
        self._graphs = Graphs(device, "the skimmer")

    @property
    def handle(self) -> int:
        """What is queued here is queued on it."""
        return self._own.handle

    def run(self, both: Both, timestamps: NDArray[np.float64], steps: int) -> SkimResult:
        """Skim one video and wait for the result; at most one may be None."""
        banks, stamps = self._bring(both, timestamps)
        width, classes = self._kernels.sizes
        n = len(timestamps)
        each = (n, n, 2, width, classes)
        shapes = [(1, classes), *((1, steps, extent) for extent in each)]
        target = self._pin("result", 4 * sum(int(np.prod(shape)) for shape in shapes))
        key = (n, *(0 if kind is None else len(kind.times) for kind in both), steps)
        held: list[object] = []

        def queue(stream: OwnStream | int, space: Space | None) -> None:
            result = self._kernels.skim(banks, stamps, steps, stream, space)
            held.append(result)
            self._fetch(result, target, handle_of(stream))

        self._launch(key, queue)
        self._wait()
        found = target.array.view(np.float32)
        arrays = []
        for shape in shapes:
            size = int(np.prod(shape))
            arrays.append(found[:size].reshape(shape).copy())
            found = found[size:]
        return SkimResult(*arrays)

    def bring(self, features: NDArray[np.float32]) -> tuple[View, object]:
        """Queue the way of a bank [M, D] from the host; what is there, and what keeps it."""
        array = self._kernels.upload(features, self._own)
        pointer = int(array.__cuda_array_interface__["data"][0])
        return View(pointer, (1, *features.shape), np.dtype(np.float32), array), array

    def give(self, kind: OrderedRows) -> DeviceArray:
        """The bank in order, float32 [K, D], as an array of its own on the device; waits for it."""
        made = self._kernels.new(len(kind.times), self._own)
        pointer = int(made.__cuda_array_interface__["data"][0])
        out = View(pointer, (1, *made.shape), np.dtype(np.float32), made)
        (order,) = self._bring_columns([kind.order])
        self._kernels.gather(kind.rows, order, out, self._own)
        self._wait()
        return made

    def fetch(self, kind: OrderedRows) -> NDArray[np.float32]:
        """The bank in order, float32 [K, D], on the host; waits for it."""
        (bank, _), _ = self._bring((kind, None), kind.times)
        assert bank is not None
        target = self._pin("result", bank[0].nbytes)
        self._device.download(target.pointer, bank[0].pointer, bank[0].nbytes, self.handle)
        self._wait()
        flat = target.array.view(np.float32)[: bank[0].nbytes // 4]
        found: NDArray[np.float32] = flat.reshape(bank[0].shape[1:]).copy()
        return found

    def close(self) -> None:
        """Wait for what is under way, if the device still answers, and free all memory."""
        with suppress(DeviceError):
            self._wait()
        with suppress(DeviceError):
            self._forget_graphs()
            for block in (*self._blocks.values(), *self._pinned.values()):
                block.free()
            self._device.end_event(self._done)
        del self._own

    def _bring(self, both: Both, timestamps: NDArray[np.float64]) -> tuple[Banks, View]:
        """Queue the times' way to the device, and the banks into order, where the sizes alone say."""
        present = [kind for kind in both if kind is not None]
        arrays = self._bring_columns([timestamps, *(c for kind in present for c in (kind.times, kind.order))])
        banks: list[tuple[View, View] | None] = []
        rest = iter(arrays[1:])
        for name, kind in zip(("image", "audio"), both, strict=True):
            if kind is None:
                banks.append(None)
                continue
            times, order = next(rest), next(rest)
            shape = (1, len(kind.times), kind.rows.shape[2])
            bank = view(self._block(name, 4 * int(np.prod(shape))), shape, np.float32)
            self._kernels.gather(kind.rows, order, bank, self._own)
            banks.append((bank, times))
        return (banks[0], banks[1]), arrays[0]

    def _bring_columns(self, columns: list[NDArray[Any]]) -> list[View]:
        """Queue the way of float64 and int64 columns to the device: [1, ...] each.

        Where they lie there depends on their sizes alone: graphs know the place.
        """
        whole = np.concatenate([column.view(np.uint8) for column in columns])
        source, target = self._pin("columns", whole.nbytes), self._block("columns", whole.nbytes)
        source.array[: whole.nbytes] = whole
        self._device.upload(target.pointer, source.pointer, whole.nbytes, self.handle)
        views, offset = [], 0
        for column in columns:
            views.append(view(target, (1, len(column)), column.dtype, offset=offset))
            offset += column.nbytes
        return views

    def _fetch(self, result: CudaSkimResult, target: Pinned, stream: int) -> None:
        offset = 0
        for name in _FIELDS:
            array = getattr(result, name)
            pointer = int(array.__cuda_array_interface__["data"][0])
            self._device.download(target.pointer + offset, pointer, array.nbytes, stream)
            offset += array.nbytes

    def _launch(self, key: tuple[int, ...], queue: _Queue) -> None:
        """Queue the skimmer; from a size's second time on as a graph."""
        known = self._seen.pop(key, False)
        self._seen[key] = None
        if known is None and self._graphs.on:
            known = self._capture(key, queue)
        if isinstance(known, _Graph):
            self._seen[key] = known
            self._device.launch(known.handle, self.handle)
        else:
            queue(self._own, None)
        while len(self._seen) > _GRAPHS:
            self._drop(self._seen.popitem(last=False)[1])

    def _capture(self, key: tuple[int, ...], queue: _Queue) -> _Graph | None:
        n, image, audio, steps = key
        try:
            space = self._kernels.space(n, (image, audio), steps, self._own)
        except DeviceMemoryError:
            return None  # it runs without
        graph = self._graphs.capture(lambda stream: queue(stream, space))
        return None if graph is None else _Graph(graph, space)

    def _wait(self) -> None:
        self._device.record(self._done, self.handle)
        self._device.synchronize(self._done)

    def _block(self, name: str, nbytes: int) -> Block:
        """Memory on the device that is this large at least; graphs know its address."""
        old = self._blocks.get(name)
        if old is None or old.nbytes < nbytes:
            made = self._device.allocate(_rounded(nbytes))
            self._forget_graphs()
            self._blocks[name] = made
            if old is not None:
                self._wait()
                old.free()
        return self._blocks[name]

    def _pin(self, name: str, nbytes: int) -> Pinned:
        old = self._pinned.get(name)
        if old is None or old.nbytes < nbytes:
            made = self._device.pin(_rounded(nbytes))
            self._forget_graphs()
            self._pinned[name] = made
            if old is not None:
                self._wait()
                old.free()
        return self._pinned[name]

    def _forget_graphs(self) -> None:
        for entry in self._seen.values():
            self._drop(entry)
        self._seen.clear()

    def _drop(self, entry: _Graph | None) -> None:
        if entry is not None:
            self._wait()
            self._device.end_graph(entry.handle)


@dataclass(frozen=True, slots=True, eq=False)
class _Graph:
    handle: int
    space: Space
    """The memory that the graph works in."""


class SkimStreams:
    """Streams, one for each video that is at its end at the same time. Safe from many threads."""

    def __init__(self, device: Device, kernels: Kernels) -> None:
        self._device, self._kernels = device, kernels
        self._lock = threading.Lock()
        self._idle: list[SkimStream] = []

    @contextmanager
    def use(self) -> Iterator[SkimStream]:
        """A stream that nobody else uses; one in which something failed is not used again."""
        with self._lock:
            stream = self._idle.pop() if self._idle else None
        if stream is None:
            stream = SkimStream(self._device, self._kernels)
        try:
            yield stream
        except BaseException:
            stream.close()
            raise
        with self._lock:
            self._idle.append(stream)

    def close(self) -> None:
        """Free all; none may be in use."""
        with self._lock:
            idle, self._idle = self._idle, []
        for stream in idle:
            stream.close()


def _rounded(nbytes: int) -> int:
    return max(1 << 16, 1 << (nbytes - 1).bit_length())

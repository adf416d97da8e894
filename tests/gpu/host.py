"""A device of the host for the whole GPU pipeline: streams do their work late, in any order they may.

Nothing that is queued happens until somebody waits for it, and then only as much as that takes, one piece
of work of a random stream after the other. So whatever lacks an event, frees memory too early or writes to
pinned memory that is still to be read gives wrong numbers; memory of the native side is freed in the order
of these streams too, and is nonsense from then on (see :func:`late_memory`). While something is captured
other threads go on, and CUDA's rules of capture (see :mod:`tests.gpu.capturing`) hold for all of them.

The memory is that of the pretended device behind the CUDA side as it is compiled for the host, the kernels
are that side's, and the networks run in OpenVINO: what comes out can be compared with the CPU's path.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import random
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine.cuda import CudaSkimmer, CudaSkimResult, Space
from l2l_engine.errors import DeviceError, DeviceLostError
from l2l_engine.gpu.device import View
from l2l_engine.gpu.graphs import uncollected
from l2l_engine.gpu.kernels import CudaKernels, OwnStream, handle_of
from tests.gpu.capturing import Captures

if TYPE_CHECKING:
    from l2l_engine.backends.openvino import OpenVINOEncoder

Work = Callable[[], None]


class HostDevice:
    """See :class:`l2l_engine.gpu.device.Device`."""

    name = "the host"

    def __init__(self, module: ModuleType, seed: int = 0, number: int = 0) -> None:
        self._module, self._random, self.number = module, random.Random(seed), number
        self._lock, self._threads = threading.RLock(), threading.local()
        self._numbers = itertools.count(0x1000 + (number << 32))
        self.lost: str | None = None
        """What lost it, if anything has."""
        self.streams: dict[int, deque[tuple[Callable[[], bool] | None, Work]]] = {}
        self.urgent: set[int] = set()
        self.events: dict[int, int] = {}
        self._passed: dict[int, int] = defaultdict(int)
        self._captures = Captures()
        self._graphs: dict[int, tuple[int, list[Work]]] = {}
        self.blocks: set[object] = set()
        self.waits = self.launches = self.captures = 0
        self.fail: Callable[[str], None] = lambda _: None
        """Told of every call; may raise."""

    @contextlib.contextmanager
    def use(self) -> Iterator[None]:
        """It is the thread's device meanwhile."""
        before = getattr(self._threads, "current", False)
        self._threads.current = True
        try:
            yield
        finally:
            self._threads.current = before

    @property
    def current(self) -> bool:
        """Whether it is the calling thread's device."""
        return bool(getattr(self._threads, "current", False))

    def require(self) -> None:
        self.told("require")

    def told(self, call: str) -> None:
        """A call is made: one that may fail, and that fails for ever once the device is lost."""
        if self.lost is None:
            try:
                self.fail(call)
            except DeviceLostError as error:
                self.lost = str(error)
        if self.lost is not None:
            raise DeviceLostError(self.lost)

    def allocate(self, nbytes: int) -> _Block:
        self.told("allocate")
        self.unordered()
        return _Block(
            self, self._module.empty(((nbytes + 3) // 4,), self.number, self._module.Stream(0, None)), nbytes
        )

    def pin(self, nbytes: int) -> _Pinned:
        self.told("pin")
        self.unordered()
        return _Pinned(self, nbytes)

    def stream(self, *, urgent: bool = False) -> int:
        self.told("stream")
        with self._lock:
            self._captures.unordered()
            made = next(self._numbers)
            self.streams[made] = deque()
            if urgent:
                self.urgent.add(made)
            return made

    def end_stream(self, stream: int) -> None:
        with self._lock:
            self._captures.end_stream(stream)
            if self.streams[stream]:
                self.drain()
            del self.streams[stream]
            self.urgent.discard(stream)

    def event(self) -> int:
        with self._lock:
            made = next(self._numbers)
            self.events[made] = 0
            return made

    def end_event(self, event: int) -> None:
        with self._lock:
            self._captures.end_event(event)
            del self.events[event]

    def record(self, event: int, stream: int) -> None:
        self.told("record")
        with self._lock:
            if self._captures.record(event, stream):
                return
            self.events[event] += 1
            ticket = self.events[event]
            self._put(stream, None, lambda: self._pass(event, ticket))

    def wait(self, stream: int, event: int) -> None:
        with self._lock:
            if self._captures.wait(stream, event):
                return
            ticket = self.events[event]
            self._put(stream, lambda: self._passed[event] >= ticket, lambda: None)

    def synchronize(self, event: int) -> None:
        self.told("synchronize")
        with self._undisturbed():
            self._captures.await_event(event)
            self.waits += 1
            ticket = self.events[event]
            while self._passed[event] < ticket:
                self._step()

    def upload(self, to: int, source: int, nbytes: int, stream: int) -> None:
        self.told("upload")
        self.queue(stream, lambda: _move(to, source, nbytes))

    download = copy = upload

    def synchronize_context(self) -> None:
        """What another library in the process may do at any time: wait for all there is."""
        with self._undisturbed():
            self._captures.await_context()
            self.drain()

    def capture(self, work: Callable[[int], None]) -> int:
        self.told("capture")
        stream = self.stream()
        try:
            return self._capture(stream, work)
        finally:
            self.end_stream(stream)

    def _capture(self, stream: int, work: Callable[[int], None]) -> int:
        with self._lock:
            self._captures.begin(stream)
        try:
            work(stream)
        except BaseException:
            with self._lock, contextlib.suppress(DeviceError):
                self._captures.end(stream)
            raise
        with self._lock:
            recorded = self._captures.end(stream)
            made = next(self._numbers)
            self._graphs[made] = stream, recorded
            self.captures += 1
            return made

    def launch(self, graph: int, stream: int) -> None:
        self.told("launch")
        captured, recorded = self._graphs[graph]
        self.launches += 1

        def run() -> None:
            # As in a graph that was captured: the native side may allocate nothing and wait for nothing.
            self._module.pretended.captured = captured
            try:
                for work in recorded:
                    work()
            finally:
                self._module.pretended.captured = 0

        self.queue(stream, run)

    def end_graph(self, graph: int) -> None:
        self.unordered()
        del self._graphs[graph]

    def queue(self, stream: int, work: Work) -> None:
        """Have a piece of work done on a stream, some time."""
        with self._lock:
            if not self._captures.add(stream, work):
                self._put(stream, None, work)

    def unordered(self) -> None:
        """A call that no stream orders is made."""
        with self._lock:
            self._captures.unordered()

    def drain(self) -> None:
        """Do all that is queued."""
        with self._undisturbed():
            while any(self.streams.values()):
                self._step()

    def free_late(self, stream: int, free: Work) -> None:
        """Memory goes once the stream has done what is queued on it; nothing of that is captured."""
        with self._lock:
            self._put(stream, None, free)

    def _put(self, stream: int, ready: Callable[[], bool] | None, work: Work) -> None:
        self.streams[stream].append((ready, work))

    def _pass(self, event: int, ticket: int) -> None:
        self._passed[event] = max(self._passed[event], ticket)

    def _step(self) -> None:
        able = [queue for queue in self.streams.values() if queue and (queue[0][0] is None or queue[0][0]())]
        assert able, "streams wait for each other, or for what nobody queued"
        _, work = self._random.choice(able).popleft()
        work()

    @contextlib.contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """The garbage collector may end a stream, which does all that is queued: not meanwhile."""
        with self._lock, uncollected():
            yield


class _Block:
    def __init__(self, device: HostDevice, array: Any, nbytes: int) -> None:
        self._device, self._array, self.nbytes = device, array, nbytes
        self.pointer = int(array.__cuda_array_interface__["data"][0])
        device.blocks.add(self)

    def free(self) -> None:
        if self._array is not None:
            self._device.unordered()
            self._device.drain()  # as the driver does
            self._array = None
            self._device.blocks.discard(self)


class _Pinned:
    def __init__(self, device: HostDevice, nbytes: int) -> None:
        self._device, self.nbytes = device, nbytes
        self.array = np.zeros(nbytes, np.uint8)
        self.pointer = self.array.ctypes.data
        device.blocks.add(self)

    def free(self) -> None:
        if self in self._device.blocks:
            self._device.unordered()
            self._device.blocks.discard(self)
            self.array[:] = 0xFF  # whoever still reads it reads nonsense


class HostNetwork:
    """A graph in OpenVINO, as :class:`l2l_engine.gpu.slots.Network`."""

    def __init__(self, device: HostDevice, encoder: OpenVINOEncoder, batch: range = range(1, 129)) -> None:
        self._device, self._encoder, self.batch = device, encoder, batch
        self.input_shape, self.features = encoder.input_shape, encoder.features
        self.alignment = 1
        self.sizes: list[int] = []
        """Samples of each call."""
        self.pointers: list[int] = []

    def worker(self) -> HostNetwork:
        return self

    def enqueue(self, batch: View, features: View, stream: int) -> None:
        self._device.told("enqueue")
        assert self._device.current, "a network's library works on whichever device is the thread's"
        assert features.shape == (batch.shape[0], self.features)
        self.sizes.append(batch.shape[0])
        self.pointers.append(batch.pointer)
        self._device.queue(stream, lambda: np.copyto(array(features), self._encoder.encode(array(batch))))


class HostKernels(CudaKernels):
    """The CUDA side's kernels, compiled for the host, in the order of late streams."""

    def __init__(self, device: HostDevice, skimmer: CudaSkimmer | None, sizes: tuple[int, int]) -> None:
        super().__init__(skimmer, sizes, device.number)
        self._late = device

    def gather(self, rows: View, order: View, out: View, stream: OwnStream) -> None:
        work = super().gather
        self._late.queue(stream.handle, lambda: work(rows, order, out, stream))

    def skim(
        self, banks: Any, timestamps: View, steps: int, stream: OwnStream | int, space: Space | None
    ) -> CudaSkimResult:
        if space is None:
            assert not isinstance(stream, int), "memory is freed in the order of a stream that may be gone"
            image, audio = (0 if bank is None else bank[0].shape[1] for bank in banks)
            space = self.space(timestamps.shape[1], (image, audio), steps, stream)
        work, memory = super().skim, space
        self._late.queue(handle_of(stream), lambda: _ignore(work(banks, timestamps, steps, stream, memory)))
        return memory.result


@contextlib.contextmanager
def late_memory(module: ModuleType, devices: Sequence[HostDevice]) -> Iterator[None]:
    """The native side waits, and frees its memory, on the late streams of these devices."""

    def owner(stream: int) -> HostDevice | None:
        return next((device for device in devices if stream in device.streams), None)

    def wait(stream: int, earlier: int) -> None:
        first, then = owner(earlier), owner(stream)
        if first is None:
            return  # what is no stream of these has done all that was queued
        if then is None:
            first.drain()
            return
        assert first is then, "no event is passed between devices here"
        event = first.event()
        first.record(event, earlier)
        first.wait(stream, event)
        first.end_event(event)

    def work(stream: int, free: Work) -> None:
        found = owner(stream)
        if found is None:
            free()
        else:
            found.free_late(stream, free)

    module.pretended.late_wait, module.pretended.late_work = wait, work
    try:
        yield
    finally:
        for device in devices:
            device.drain()
        module.pretended.late_wait = module.pretended.late_work = None


def array(view: View) -> NDArray[Any]:
    """What lies there."""
    data = (ctypes.c_uint8 * view.nbytes).from_address(view.pointer)
    return np.frombuffer(data, view.dtype).reshape(view.shape)


def _move(to: int, source: int, nbytes: int) -> None:
    ctypes.memmove(to, source, nbytes)


def _ignore(_: object) -> None:
    """A result that is somewhere else too."""


def broken(call: str, error: type[Exception] = DeviceError, after: int = 0) -> Callable[[str], None]:
    """For ``HostDevice.fail``: the call fails from its ``after``-th time on."""
    left = itertools.count(after, -1)

    def fail(name: str) -> None:
        if name == call and next(left) <= 0:
            raise error(f"{call} was made to fail")

    return fail

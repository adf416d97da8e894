"""A GPU by the driver's own interface (libcuda), which every machine with one has. Not yet run on one.

The tests run it against a library of the same functions on the host, compiled with CUDA's own header, so that
their arguments are what the header says.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine.backends import gpu
from l2l_engine.errors import DeviceError, DeviceLostError, DeviceMemoryError

_OUT_OF_MEMORY, _NOT_READY = 2, 600
_LOST = frozenset({214, 220, 226, 700, 701, 702, 709, *range(710, 720), 721, 810, 911})
"""CUDA's errors after which a process is done with the device (csrc/base/device.h has the same)."""
_NON_BLOCKING, _NO_TIMING, _THREAD_LOCAL_CAPTURE = 1, 2, 1
_INT, _SIZE, _U64 = ctypes.c_int, ctypes.c_size_t, ctypes.c_uint64
_UINT, _HANDLE, _OUT = ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p

# Names and arguments as cuda.h of CUDA 12 and 13 has them; the numbers behind names are versions of the ABI.
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cuInit": (_UINT,),
    "cuDeviceGet": (_OUT, _INT),
    "cuDevicePrimaryCtxRetain": (_OUT, _INT),
    "cuCtxGetCurrent": (_OUT,),
    "cuCtxSetCurrent": (_HANDLE,),
    "cuMemAlloc_v2": (_OUT, _SIZE),
    "cuMemFree_v2": (_U64,),
    "cuMemHostAlloc": (_OUT, _SIZE, _UINT),
    "cuMemFreeHost": (_HANDLE,),
    "cuCtxGetStreamPriorityRange": (_OUT, _OUT),
    "cuStreamCreateWithPriority": (_OUT, _UINT, _INT),
    "cuStreamDestroy_v2": (_HANDLE,),
    "cuStreamQuery": (_HANDLE,),
    "cuEventCreate": (_OUT, _UINT),
    "cuEventDestroy_v2": (_HANDLE,),
    "cuEventRecord": (_HANDLE, _HANDLE),
    "cuStreamWaitEvent": (_HANDLE, _HANDLE, _UINT),
    "cuEventSynchronize": (_HANDLE,),
    "cuMemcpyHtoDAsync_v2": (_U64, _HANDLE, _SIZE, _HANDLE),
    "cuMemcpyDtoHAsync_v2": (_HANDLE, _U64, _SIZE, _HANDLE),
    "cuMemcpyDtoDAsync_v2": (_U64, _U64, _SIZE, _HANDLE),
    "cuStreamBeginCapture_v2": (_HANDLE, _INT),
    "cuStreamEndCapture": (_HANDLE, _OUT),
    "cuGraphInstantiateWithFlags": (_OUT, _HANDLE, ctypes.c_ulonglong),
    "cuGraphDestroy": (_HANDLE,),
    "cuGraphLaunch": (_HANDLE, _HANDLE),
    "cuGraphExecDestroy": (_HANDLE,),
    "cuGetErrorString": (_INT, _OUT),
}


class CudaDevice:
    """One of the GPUs that this process may use; see :class:`l2l_engine.gpu.device.Device`.

    It works in the GPU's primary context, as CUDA's runtime, PyTorch, TensorRT and DALI do, and leaves the
    calling thread in the context that it came with.

    Args:
        number: Which, counted from 0.

    Raises:
        DeviceError: Saying which is missing: the driver, or a GPU.
        DeviceLostError: It was lost to this process before.
    """

    def __init__(self, number: int = 0) -> None:
        self.name, self.number = gpu.find_gpu(number).name, number
        self._calls, self._key = _calls(), (gpu.library(), number)
        device = ctypes.c_int()
        self._check("cuInit", 0)
        self._check("cuDeviceGet", ctypes.byref(device), number)
        # Never released: other libraries in this process work in it too.
        self._context = self._handle("cuDevicePrimaryCtxRetain", device.value)
        least, most = ctypes.c_int(), ctypes.c_int()
        self.call("cuCtxGetStreamPriorityRange", ctypes.byref(least), ctypes.byref(most))
        self._priorities = least.value, most.value
        self._probe = self.stream()

    def allocate(self, nbytes: int) -> DeviceBlock:
        """Memory on the device."""
        pointer = ctypes.c_uint64()
        self.call("cuMemAlloc_v2", ctypes.byref(pointer), max(1, nbytes), wanted=nbytes)
        return DeviceBlock(self, pointer.value, nbytes)

    def pin(self, nbytes: int) -> PinnedBlock:
        """Memory of the host for copies that nobody waits for."""
        pointer = ctypes.c_void_p()
        self.call("cuMemHostAlloc", ctypes.byref(pointer), max(1, nbytes), 0, wanted=nbytes)
        return PinnedBlock(self, pointer.value or 0, nbytes)

    def stream(self, *, urgent: bool = False) -> int:
        """A new stream, which waits for no other by itself; work on an urgent one goes first."""
        with self.use():
            return self._handle("cuStreamCreateWithPriority", _NON_BLOCKING, self._priorities[urgent])

    def end_stream(self, stream: int) -> None:
        """Let go of a stream; what is queued on it is still done."""
        self.call("cuStreamDestroy_v2", stream)

    def event(self) -> int:
        """A new event."""
        with self.use():
            return self._handle("cuEventCreate", _NO_TIMING)

    def end_event(self, event: int) -> None:
        """Let go of an event."""
        self.call("cuEventDestroy_v2", event)

    def record(self, event: int, stream: int) -> None:
        """The event stands for what is queued on the stream by now."""
        self.call("cuEventRecord", event, stream)

    def wait(self, stream: int, event: int) -> None:
        """What is queued on the stream from now on waits for the event."""
        self.call("cuStreamWaitEvent", stream, event, 0)

    def synchronize(self, event: int) -> None:
        """Wait in this thread until the device has passed the event; lets other threads run meanwhile."""
        self.call("cuEventSynchronize", event)

    def upload(self, to: int, source: int, nbytes: int, stream: int) -> None:
        """Queue a copy from pinned memory of the host."""
        self.call("cuMemcpyHtoDAsync_v2", to, source, nbytes, stream)

    def download(self, to: int, source: int, nbytes: int, stream: int) -> None:
        """Queue a copy to pinned memory of the host."""
        self.call("cuMemcpyDtoHAsync_v2", to, source, nbytes, stream)

    def copy(self, to: int, source: int, nbytes: int, stream: int) -> None:
        """Queue a copy on the device."""
        self.call("cuMemcpyDtoDAsync_v2", to, source, nbytes, stream)

    def capture(self, work: Callable[[int], None]) -> int:
        """A graph of what ``work`` queues on the stream it is called with, which is not done now."""
        stream = self.stream()
        with self.use():
            try:
                return self._capture(stream, work)
            finally:
                self._calls["cuStreamDestroy_v2"](stream)

    def _capture(self, stream: int, work: Callable[[int], None]) -> int:
        # Of this thread alone: what other threads do meanwhile is no fault.
        self.call("cuStreamBeginCapture_v2", stream, _THREAD_LOCAL_CAPTURE)
        graph = ctypes.c_void_p()
        try:
            work(stream)
        except BaseException:
            # Ended all the same, or the stream would be of no more use.
            self._calls["cuStreamEndCapture"](stream, ctypes.byref(graph))
            if graph.value:
                self._calls["cuGraphDestroy"](graph)
            raise
        self._check("cuStreamEndCapture", stream, ctypes.byref(graph))
        try:
            return self._handle("cuGraphInstantiateWithFlags", graph, 0)
        finally:
            self._calls["cuGraphDestroy"](graph)

    def launch(self, graph: int, stream: int) -> None:
        """Queue all of a graph."""
        self.call("cuGraphLaunch", graph, stream)

    def end_graph(self, graph: int) -> None:
        """Let go of a graph that is not under way."""
        self.call("cuGraphExecDestroy", graph)

    @contextmanager
    def use(self) -> Iterator[None]:
        """Make the GPU the calling thread's meanwhile, for libraries that work on whichever that is."""
        before = self._handle("cuCtxGetCurrent")
        if before == self._context:
            yield
            return
        self._check("cuCtxSetCurrent", self._context)
        try:
            yield
        finally:
            self._calls["cuCtxSetCurrent"](before)

    def require(self) -> None:
        """Raise DeviceLostError if the device is lost to this process, whoever's call it was that lost it."""
        with self.use():
            self._check("cuStreamQuery", self._probe, fine=_NOT_READY)

    def call(self, function: str, *arguments: Any, wanted: int | None = None) -> None:
        """A call of the driver in this GPU's context."""
        with self.use():
            self._check(function, *arguments, wanted=wanted)

    def _handle(self, function: str, *arguments: Any) -> int:
        made = ctypes.c_void_p()
        self._check(function, ctypes.byref(made), *arguments)
        return made.value or 0

    def _check(self, function: str, *arguments: Any, wanted: int | None = None, fine: int = 0) -> None:
        if self._key in _lost:
            raise DeviceLostError(_lost[self._key])
        status = self._calls[function](*arguments)
        if status == fine:
            return
        if status == _OUT_OF_MEMORY:
            bytes_wanted = "" if wanted is None else f": {wanted} bytes asked for"
            raise DeviceMemoryError(f"{self.name} has not enough memory ({function}){bytes_wanted}")
        if status:
            text = ctypes.c_char_p()
            self._calls["cuGetErrorString"](status, ctypes.byref(text))
            words = (text.value or b"unknown error").decode(errors="replace")
            said = f"{self.name} fails: {function}: {words} ({status})"
            if status in _LOST:
                _lost[self._key] = f"{said}; it is lost to this process, which must be started anew"
                raise DeviceLostError(_lost[self._key])
            raise DeviceError(said)


class DeviceBlock:
    """Memory on the device; freed with this object."""

    def __init__(self, device: CudaDevice, pointer: int, nbytes: int) -> None:
        self._device: CudaDevice | None = device
        self.pointer, self.nbytes = pointer, nbytes

    def free(self) -> None:
        """Give it back; the driver waits until the device is done with it."""
        device, self._device = self._device, None
        if device is not None:
            device.call("cuMemFree_v2", self.pointer)


class PinnedBlock:
    """Pinned memory of the host."""

    def __init__(self, device: CudaDevice, pointer: int, nbytes: int) -> None:
        self._device: CudaDevice | None = device
        self.pointer, self.nbytes = pointer, nbytes

    @property
    def array(self) -> NDArray[np.uint8]:
        """Its bytes; not to be used after ``free``."""
        return np.ctypeslib.as_array((ctypes.c_uint8 * self.nbytes).from_address(self.pointer))

    def free(self) -> None:
        """Give it back; nothing may be on its way to or from it."""
        device, self._device = self._device, None
        if device is not None:
            device.call("cuMemFreeHost", self.pointer)


_lock = threading.Lock()
_known: dict[str, dict[str, Any]] = {}
_lost: dict[tuple[str, int], str] = {}
"""What lost a GPU, by the driver's library and its number: of all its users in this process."""


def _calls() -> dict[str, Any]:
    """The driver's functions, each with the types of its arguments."""
    name_of_library = gpu.library()
    with _lock:
        if name_of_library not in _known:
            library = ctypes.CDLL(name_of_library)
            made: dict[str, Any] = {}
            for name, arguments in _FUNCTIONS.items():
                try:
                    function = library[name]
                except AttributeError as error:
                    raise DeviceError(f"the NVIDIA driver is too old: it has no {name}") from error
                function.argtypes, function.restype = arguments, ctypes.c_int
                made[name] = function
            _known[name_of_library] = made
        return _known[name_of_library]

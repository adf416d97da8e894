"""The rules of capture themselves: as the documentation gives them, and the same in both twins."""

from __future__ import annotations

import copy
import ctypes
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from l2l_engine.backends import gpu
from l2l_engine.gpu.driver import CudaDevice
from tests.gpu import capturing
from tests.gpu.capturing import GLOBAL, RELAXED, THREAD_LOCAL, Captures, RefusedError

STREAMS, EVENTS = 4, 4
_ROUNDS, _STEPS = 8, 50
"""The library on the host has room for 64 nodes of a graph."""
Call = Callable[..., int]


class Model:
    """The rules in Python, by the driver's names and numbers."""

    def __init__(self) -> None:
        self._rules = Captures()
        self.calls: dict[str, Callable[..., object]] = {
            "begin": self._rules.begin,
            "end": self._rules.end,
            "copy": self._copy,
            "record": self._rules.record,
            "wait": self._rules.wait,
            "await": self._rules.await_event,
            "allocate": self._rules.unordered,
            "await context": self._rules.await_context,
        }

    def __call__(self, name: str, *arguments: int) -> int:
        try:
            self.calls[name](*arguments)
        except RefusedError as refused:
            return refused.status
        return 0

    def allows(self, name: str, *arguments: int) -> bool:
        return copy.deepcopy(self)(name, *arguments) == 0

    def _copy(self, stream: int) -> None:
        self._rules.add(stream, None)


class Driver:
    """The rules in C, or those of a GPU; streams are numbered from 1, events too."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._device = CudaDevice()
        with self._device.use():
            self._streams = [self._made("cuStreamCreateWithPriority", 1, 0) for _ in range(STREAMS)]
            self._events = [self._made("cuEventCreate", 2) for _ in range(EVENTS)]
        self._bytes = self._device.allocate(2)

    def __call__(self, name: str, *arguments: int) -> int:
        with self._device.use():
            return int(getattr(self, "_" + name.replace(" ", "_"))(*arguments))

    def _made(self, function: str, *arguments: int) -> ctypes.c_void_p:
        handle = ctypes.c_void_p()
        assert self._library[function](ctypes.byref(handle), *arguments) == 0
        return handle

    def _begin(self, stream: int, mode: int) -> int:
        return self._library.cuStreamBeginCapture_v2(self._streams[stream - 1], mode)

    def _end(self, stream: int) -> int:
        graph = ctypes.c_void_p()
        status = self._library.cuStreamEndCapture(self._streams[stream - 1], ctypes.byref(graph))
        assert bool(graph) == (status == 0)
        if graph:
            self._library.cuGraphDestroy(graph)
        return status

    def _copy(self, stream: int) -> int:
        to, source = (ctypes.c_uint64(self._bytes.pointer + i) for i in range(2))
        return self._library.cuMemcpyDtoDAsync_v2(to, source, ctypes.c_size_t(1), self._streams[stream - 1])

    def _record(self, event: int, stream: int) -> int:
        return self._library.cuEventRecord(self._events[event - 1], self._streams[stream - 1])

    def _wait(self, stream: int, event: int) -> int:
        return self._library.cuStreamWaitEvent(self._streams[stream - 1], self._events[event - 1], 0)

    def _await(self, event: int) -> int:
        return self._library.cuEventSynchronize(self._events[event - 1])

    def _allocate(self) -> int:
        pointer = ctypes.c_uint64()
        status = self._library.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(1))
        if status == 0:
            self._library.cuMemFree_v2(pointer)
        return status

    def _await_context(self) -> int:
        return self._library.cuCtxSynchronize()


@pytest.fixture
def twin(driver: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> Driver:
    monkeypatch.setattr(gpu, "_LIBRARY", driver._name)
    return Driver(driver)


@pytest.fixture(params=["python", "c"])
def call(request: pytest.FixtureRequest) -> Call:
    made: Call = Model() if request.param == "python" else request.getfixturevalue("twin")
    return made


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


def test_a_fork_that_is_joined_back(call: Call) -> None:
    for name, *arguments in (
        ("begin", 1, THREAD_LOCAL),
        ("copy", 1),
        ("record", 1, 1),
        ("wait", 2, 1),  # joins the capture
        ("copy", 2),
        ("record", 2, 2),
        ("wait", 1, 2),
        ("wait", 1, 1),  # for what it was past already: it is joined all the same
        ("end", 1),
        ("copy", 2),
        ("record", 2, 2),
        ("await", 2),  # an ordinary event again
    ):
        assert call(name, *arguments) == 0, (name, arguments)
    assert call("await", 1) == capturing.CAPTURED_EVENT
    assert call("wait", 2, 1) == capturing.CAPTURED_EVENT


@pytest.mark.parametrize("queued", [True, False])
def test_a_fork_that_is_not(call: Call, queued: bool) -> None:
    call("begin", 1, THREAD_LOCAL)
    call("record", 1, 1)
    call("wait", 2, 1)
    assert call("begin", 2, THREAD_LOCAL) == capturing.ILLEGAL_STATE
    call("end", 1)
    call("begin", 1, THREAD_LOCAL)
    call("record", 1, 1)
    call("wait", 2, 1)
    if queued:
        call("copy", 2)
    assert call("end", 1) == capturing.UNJOINED
    assert call("end", 1) == capturing.ILLEGAL_STATE
    assert call("end", 2) == capturing.ILLEGAL_STATE


def test_what_crosses_the_border_of_a_capture(call: Call) -> None:
    call("record", 1, 2)
    for never_recorded_or_outside in (1, 2):
        call("begin", 1, THREAD_LOCAL)
        assert call("wait", 1, never_recorded_or_outside) == capturing.ISOLATION
        for name, *arguments in (("copy", 1), ("record", 3, 1), ("wait", 1, 2), ("end", 1)):
            assert call(name, *arguments) == capturing.INVALIDATED, name
        assert call("copy", 1) == 0
    for stream in (1, 2):
        call("begin", stream, THREAD_LOCAL)
        call("record", stream, stream)
    assert call("wait", 1, 2) == capturing.MERGE
    assert [call("end", stream) for stream in (1, 2)] == [capturing.INVALIDATED] * 2


def test_where_and_by_whom_it_ends(call: Call, thread: ThreadPoolExecutor) -> None:
    call("begin", 1, THREAD_LOCAL)
    call("record", 1, 1)
    call("wait", 2, 1)
    assert call("end", 2) == capturing.UNMATCHED
    assert call("end", 1) == capturing.INVALIDATED
    call("begin", 1, THREAD_LOCAL)
    assert thread.submit(call, "end", 1).result() == capturing.WRONG_THREAD
    assert call("end", 1) == capturing.INVALIDATED
    call("begin", 1, RELAXED)
    assert thread.submit(call, "end", 1).result() == 0


@pytest.mark.parametrize(
    ("mode", "own", "others"),
    [
        (RELAXED, 0, 0),
        (THREAD_LOCAL, capturing.UNSUPPORTED, 0),
        (GLOBAL, capturing.UNSUPPORTED, capturing.UNSUPPORTED),
    ],
)
def test_calls_that_no_stream_orders(
    call: Call, thread: ThreadPoolExecutor, mode: int, own: int, others: int
) -> None:
    call("record", 1, 2)
    for name, *arguments in (("allocate",), ("await", 1)):
        for here, status in ((True, own), (False, others)):
            call("begin", 1, mode)
            got = call(name, *arguments) if here else thread.submit(call, name, *arguments).result()
            assert got == status
            assert call("end", 1) == (capturing.INVALIDATED if status else 0)
    call("begin", 1, mode)
    assert thread.submit(call, "await context").result() == capturing.UNSUPPORTED
    assert call("end", 1) == capturing.INVALIDATED
    assert call("await context") == 0


def any_call(choose: random.Random) -> tuple[str, tuple[int, ...]]:
    stream, event = choose.randint(1, STREAMS), choose.randint(1, EVENTS)
    arguments = {
        "begin": (stream, choose.choice([GLOBAL, THREAD_LOCAL, THREAD_LOCAL, RELAXED])),
        "end": (stream,),
        "copy": (stream,),
        "record": (event, stream),
        "wait": (stream, event),
        "await": (event,),
        "allocate": (),
        "await context": (),
    }
    name = choose.choices(list(arguments), [6, 6, 3, 12, 12, 1, 0.5, 0.2])[0]
    return name, arguments[name]


def rounds(model: Model, driver: Driver) -> Iterator[list[ThreadPoolExecutor]]:
    """Two threads, several times; no capture is left to the next round, or to the next test."""
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        for _ in range(_ROUNDS):
            yield [one, other]
            for thread in (one, other):
                for stream in range(1, STREAMS + 1):
                    for each in (model, driver):
                        thread.submit(each, "end", stream).result()


@pytest.mark.parametrize("seed", range(10))
def test_both_twins_say_the_same(twin: Driver, seed: int) -> None:
    """To any calls, of two threads: most of what there are numbers for comes up."""
    choose, seen, model = random.Random(seed), Counter[int](), Model()
    for one, other in rounds(model, twin):
        for _ in range(_STEPS):
            name, arguments = any_call(choose)
            thread = choose.choice([one, one, other])
            said = [thread.submit(each, name, *arguments).result() for each in (model, twin)]
            assert said[0] == said[1], (name, arguments, said)
            seen[said[0]] += 1
    assert len(seen) >= 7, seen


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("where", ["twin", pytest.param("gpu", marks=pytest.mark.gpu)])
def test_what_the_model_allows_the_driver_does_too(
    where: str, seed: int, request: pytest.FixtureRequest
) -> None:
    """A GPU may be less strict; what passes here must not fail there."""
    driver = request.getfixturevalue("twin") if where == "twin" else Driver(ctypes.CDLL(gpu.library()))
    choose, done, model = random.Random(seed), Counter[str](), Model()
    for threads in rounds(model, driver):
        for _ in range(_STEPS):
            (name, arguments), thread = any_call(choose), choose.choice(threads)
            if thread.submit(model.allows, name, *arguments).result():
                assert thread.submit(model, name, *arguments).result() == 0
                assert thread.submit(driver, name, *arguments).result() == 0, (name, arguments)
                done[name] += 1
    assert min(done[name] for name in ("begin", "end", "copy", "record", "wait")) >= 5, done

"""Graphs are captured while other threads go on: by CUDA's rules, on both twins of a GPU."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from l2l_engine.backends import gpu
from l2l_engine.cuda import CudaSkimmer
from l2l_engine.gpu.device import Device, View
from l2l_engine.gpu.driver import CudaDevice
from l2l_engine.gpu.encoding import DeviceEncoder
from l2l_engine.gpu.graphs import TRIES, uncollected
from l2l_engine.gpu.kernels import OwnStream
from l2l_engine.gpu.pool import Pool
from l2l_engine.gpu.rows import OrderedRows, Rows
from l2l_engine.gpu.skimming import SkimStream
from l2l_engine.gpu.slots import FULL, SLOTS, DeviceSample
from tests.api.plans import random_skim
from tests.gpu.host import HostDevice, HostKernels

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
WIDTH = 3
CAPTURING = SLOTS + 1
"""The call of the network that is captured first: the first slot's second."""


class Network:
    """The feature is the sample. ``entered`` is told the number of each call, from 1 on."""

    input_shape, features, alignment, batch = (WIDTH,), WIDTH, 4, range(1, 65)

    def __init__(self, device: Device) -> None:
        self._device, self._calls = device, 0
        self.entered: Callable[[int], None] = lambda _: None

    def worker(self) -> Network:
        return self

    def enqueue(self, batch: View, features: View, stream: int) -> None:
        self._calls += 1
        self.entered(self._calls)
        self._device.copy(features.pointer, batch.pointer, batch.nbytes, stream)


class Encoding:
    """An encoder on one of the twins, and what other threads do beside it."""

    def __init__(self, device: Device, elsewhere: Callable[[], object]) -> None:
        self.device = device
        self.elsewhere = elsewhere
        """Another library of the process waits for the whole device."""
        self.network, self.pool = Network(device), Pool(device)
        self.encoder = DeviceEncoder(device, self.pool, self.network, dtype=np.float32, precision="fp32")
        self.lane = device.stream()
        self._pinned = device.pin(1 << 16)

    def add(self, rows: Rows, *values: int) -> None:
        """Full batches, each sample of one the same value."""
        for value in values:
            self.encoder.add([np.full(WIDTH, value, np.float32)] * FULL, rows)

    def read(self, rows: Rows, stream: int) -> list[float]:
        """The first value of each batch, as what is queued on the stream now finds it."""
        whole = rows.view()
        self.device.download(self._pinned.pointer, whole.pointer, whole.nbytes, stream)
        self.settle(stream)
        return self._pinned.array.view(np.float32)[: whole.nbytes // 4 : WIDTH * FULL].tolist()

    def settle(self, stream: int) -> None:
        event = self.device.event()
        self.device.record(event, stream)
        self.device.synchronize(event)
        self.device.end_event(event)

    def while_capturing(self, act: Callable[[Rows], None]) -> Rows:
        """Batches 2, 3 and 4 of a video.

        The last is captured in another thread while ``act`` is done in this one, with the rows of another
        video, whose batch was 1.
        """
        other, rows = self.encoder.rows(), self.encoder.rows()
        entered, go_on = threading.Event(), threading.Event()

        def hold(call: int) -> None:
            if call == CAPTURING:
                entered.set()
                assert go_on.wait(60)

        self.network.entered = hold
        self.add(other, 1)
        self.add(rows, 2, 3)
        with ThreadPoolExecutor(1) as thread:
            adding = thread.submit(self.add, rows, 4)
            try:
                assert entered.wait(60)
                act(other)
            finally:
                go_on.set()
            adding.result()
        return rows


@pytest.fixture(params=["seed-0", "seed-1", "seed-2", "driver"])
def encoding(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Encoding:
    if request.param == "driver":
        library: ctypes.CDLL = request.getfixturevalue("driver")
        monkeypatch.setattr(gpu, "_LIBRARY", library._name)
        return Encoding(CudaDevice(), library.cuCtxSynchronize)
    host = HostDevice(request.getfixturevalue("module"), seed=int(request.param[-1]))
    return Encoding(host, host.synchronize_context)


def test_a_lane_reads_what_was_encoded(encoding: Encoding) -> None:
    """Another video is at its end: it waits for the encoder, and reads what was queued before the capture."""
    found = list[float]()

    def act(other: Rows) -> None:
        encoding.encoder.join(encoding.lane)
        found.extend(encoding.read(other, encoding.lane))

    rows = encoding.while_capturing(act)
    assert found == [1]
    encoding.encoder.join(encoding.lane)
    assert encoding.read(rows, encoding.lane) == [2, 3, 4]


def test_what_a_lane_queues_is_done_once(encoding: Encoding) -> None:
    """It is no part of the encoder's graph."""
    result = encoding.device.pin(4)

    def act(other: Rows) -> None:
        encoding.encoder.join(encoding.lane)
        encoding.device.download(result.pointer, other.view().pointer, 4, encoding.lane)

    rows = encoding.while_capturing(act)
    encoding.settle(encoding.lane)
    assert result.array.view(np.float32) == [1]
    result.array[:] = 0
    encoding.add(rows, 5, 6, 7)
    assert encoding.read(rows, encoding.encoder.stream) == [2, 3, 4, 5, 6, 7]
    assert not result.array.any()


def test_memory_is_given_back(encoding: Encoding) -> None:
    """Another video is closed: what takes its memory waits for the encoder's stream."""
    source, result = encoding.device.pin(4), encoding.device.pin(4)
    source.array.view(np.float32)[:] = 9

    def act(other: Rows) -> None:
        size = other.view().nbytes
        other.close()
        block = encoding.pool.take(size, encoding.lane)
        encoding.device.upload(block.pointer, source.pointer, 4, encoding.lane)
        encoding.device.download(result.pointer, block.pointer, 4, encoding.lane)

    rows = encoding.while_capturing(act)
    encoding.settle(encoding.lane)
    assert result.array.view(np.float32) == [9]
    assert encoding.read(rows, encoding.encoder.stream) == [2, 3, 4]


def test_a_decoder_makes_the_encoder_wait(encoding: Encoding) -> None:
    """It decoded frames on a stream of its own, as DALI does."""
    device = encoding.device
    decoder, event, size = device.stream(), device.event(), FULL * WIDTH * 4
    frames, picture = device.allocate(size), device.pin(size)
    picture.array.view(np.float32)[:] = 5

    def act(other: Rows) -> None:
        device.upload(frames.pointer, picture.pointer, size, decoder)
        device.record(event, decoder)
        device.wait(encoding.encoder.stream, event)

    rows = encoding.while_capturing(act)
    decoded = [DeviceSample(frames.pointer + 4 * WIDTH * i, frames) for i in range(FULL)]
    encoding.encoder.add(decoded, rows)
    assert encoding.read(rows, encoding.encoder.stream) == [2, 3, 4, 5]


def test_memory_is_made_and_freed(encoding: Encoding) -> None:
    """Which no stream orders: it is the capturing thread alone that may not."""

    def act(other: Rows) -> None:
        encoding.device.allocate(100).free()
        encoding.device.pin(100).free()
        encoding.device.end_stream(encoding.device.stream())
        encoding.settle(encoding.lane)

    rows = encoding.while_capturing(act)
    assert encoding.read(rows, encoding.encoder.stream) == [2, 3, 4]


@pytest.mark.parametrize("broken", [{1}, {1, 2}, {1, 2, 4, 5}, {1, 2, 3}], ids=str)
def test_a_capture_that_is_broken_from_elsewhere_is_tried_again(
    encoding: Encoding,
    broken: set[int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not after three failures in a row: then it is the work that cannot be captured."""
    caplog.set_level(logging.INFO, "l2l_engine")
    tries, capture, rows = 0, encoding.device.capture, encoding.encoder.rows()

    def watched(work: Callable[[int], None]) -> int:
        nonlocal tries
        tries += 1

        def inside(stream: int) -> None:
            work(stream)
            if tries in broken:
                with ThreadPoolExecutor(1) as thread:
                    thread.submit(encoding.elsewhere).exception()  # which is refused too

        return capture(inside)

    monkeypatch.setattr(encoding.device, "capture", watched)
    values = range(1, 4 * SLOTS + 1)
    encoding.add(rows, *values)
    off = len(broken) == TRIES
    assert tries == (TRIES if off else SLOTS + len(broken))
    assert caplog.text.count("an encoder runs without CUDA graphs") == off
    assert encoding.read(rows, encoding.encoder.stream) == list(values)


def test_garbage_is_not_collected_by_the_thread_that_captures(module: ModuleType) -> None:
    """It might hold a stream, and ending one breaks the capture."""
    device = HostDevice(module)
    encoding, rows = Encoding(device, device.synchronize_context), None
    before, thresholds = len(device.streams), gc.get_threshold()

    def litter(call: int) -> None:
        if call == CAPTURING:
            gc.set_threshold(1, 1, 1)
            assert [[] for _ in range(1000)]

    encoding.network.entered = litter
    rows = encoding.encoder.rows()
    gc.collect()
    gc.disable()
    try:
        encoding.add(rows, 1, 2, 3)
        cycle: list[Any] = [OwnStream(device)]
        cycle.append(cycle)
        del cycle
        gc.enable()
        encoding.add(rows, 4)
    finally:
        gc.enable()
        gc.set_threshold(*thresholds)
    gc.collect()
    assert (device.captures, len(device.streams)) == (1, before)
    assert encoding.read(rows, encoding.encoder.stream) == [1, 2, 3, 4]


def test_the_garbage_collector_is_left_as_it_was() -> None:
    """By several threads that stop it at once, and in a child that is forked meanwhile."""
    with uncollected(), ThreadPoolExecutor(1) as thread:

        def stopped() -> bool:
            with uncollected():
                return not gc.isenabled()

        assert thread.submit(stopped).result()
        assert not gc.isenabled()
        child = os.fork()
        if not child:
            os._exit(0 if gc.isenabled() else 1)
        assert os.waitpid(child, 0)[1] == 0
    assert gc.isenabled()
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
        child = os.fork()
        if not child:
            os._exit(1 if gc.isenabled() else 0)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("seed", range(3))
def test_nobody_else_meets_a_capture_of_the_skimmers(
    module: ModuleType, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A skimmer's own stream can be waited for while its graph is made: memory used on it is given back."""
    device = HostDevice(module, seed)
    pool, other = Pool(device), device.stream()
    skimmer = CudaSkimmer(random_skim(), precision="fp32")
    kernels = HostKernels(device, skimmer, (skimmer.feature_size, skimmer.class_count))
    lane, entered, go_on = SkimStream(device, kernels), threading.Event(), threading.Event()
    rng, times = np.random.default_rng(seed), np.arange(4.0)
    videos = rng.standard_normal((3, 2, 4, skimmer.feature_size)).astype(np.float32)
    real = kernels.skim

    def hold(*arguments: Any) -> Any:
        if arguments[-1] is not None:  # the space of a graph
            entered.set()
            assert go_on.wait(60)
        return real(*arguments)

    monkeypatch.setattr(kernels, "skim", hold)

    def run(lane: SkimStream, video: int) -> Any:
        made = [lane.bring(bank) for bank in videos[video]]
        parts = [OrderedRows(rows, np.arange(4), times) for rows, _ in made]
        return lane.run((parts[0], parts[1]), times, 3).logits

    run(lane, 0)
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(run, lane, 1)
        try:
            assert entered.wait(60)
            pool.give(pool.take(100, lane.handle), lane.handle)
            pool.take(100, other)
        finally:
            go_on.set()
        got = [running.result(), run(lane, 2)]
    assert (device.captures, device.launches) == (1, 2)
    for video in (1, 2):
        without_graph = SkimStream(device, kernels)
        np.testing.assert_array_equal(got[video - 1], run(without_graph, video))
        without_graph.close()
    lane.close()

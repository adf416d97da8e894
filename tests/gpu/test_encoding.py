"""Batches, slots and memory of the encoders: what goes together, what waits, and what is used over."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from l2l_engine.errors import DeviceError, DeviceMemoryError
from l2l_engine.gpu.device import View
from l2l_engine.gpu.encoding import DeviceEncoder
from l2l_engine.gpu.pool import Pool
from l2l_engine.gpu.rows import Rows
from l2l_engine.gpu.slots import DeviceSample
from tests.gpu.conftest import BIG
from tests.gpu.host import HostDevice, array, broken

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
WIDTH = 4
Samples = list[Any]


class Network:
    """Features are the sample and its double, so that each says which sample it is of."""

    input_shape, features, alignment = (2,), WIDTH, 8

    def __init__(self, device: HostDevice, batch: range = range(1, 129)) -> None:
        self.device, self.batch, self.sizes = device, batch, list[int]()
        self.pointers: list[int] = []

    def worker(self) -> Network:
        return self

    def enqueue(self, batch: View, features: View, stream: int) -> None:
        self.device.fail("enqueue")
        self.sizes.append(batch.shape[0])
        self.pointers.append(batch.pointer)

        def work() -> None:
            array(features)[:] = np.concatenate([array(batch), 2 * array(batch)], axis=1)

        self.device.queue(stream, work)


@pytest.fixture(params=range(3), ids=lambda seed: f"seed-{seed}")
def late(module: ModuleType, request: pytest.FixtureRequest) -> HostDevice:
    return HostDevice(module, seed=request.param)


@pytest.fixture
def network(late: HostDevice) -> Network:
    return Network(late)


@pytest.fixture
def pool(late: HostDevice) -> Pool:
    return Pool(late)


@pytest.fixture
def encoder(late: HostDevice, pool: Pool, network: Network) -> DeviceEncoder:
    return DeviceEncoder(late, pool, network, dtype=np.float32, precision="fp32")


def samples(first: int, count: int) -> Samples:
    return list(np.arange(2 * first, 2 * (first + count), dtype=np.float32).reshape(count, 2))


def read(device: HostDevice, encoder: DeviceEncoder, rows: Rows) -> np.ndarray:
    """The rows once the encoder is done with what is queued by now."""
    event = device.event()
    device.record(event, encoder.stream)
    device.synchronize(event)
    return array(rows.view())[0].copy()


def expected(*parts: Samples) -> np.ndarray:
    whole = np.concatenate(parts)
    return np.concatenate([whole, 2 * whole], axis=1)


def test_more_calls_than_slots_and_rows_that_grow(late: HostDevice, encoder: DeviceEncoder) -> None:
    rows, parts = encoder.rows(), []
    for first, count in enumerate([32, 5, 32, 1, 32, 17, 32, 64, 3, 32] * 20):
        parts.append(samples(100 * first, count))
        assert encoder.add(parts[-1], rows) == sum(map(len, parts[:-1]))
    assert sum(map(len, parts)) * WIDTH * 4 > 1 << 16  # it had to move
    np.testing.assert_array_equal(read(late, encoder, rows), expected(*parts))


def test_sizes_are_few_and_full_batches_are_graphs(
    late: HostDevice, encoder: DeviceEncoder, network: Network
) -> None:
    for count in range(1, 65):
        encoder.add(samples(0, count), encoder.rows())
    assert set(network.sizes) == {1, 2, 4, 8, 16, 32, 64}
    for _ in range(9):
        encoder.add(samples(0, 32), encoder.rows())
    assert late.captures == 3  # one a slot
    late.drain()


def test_samples_on_the_device_are_taken_from_there(
    late: HostDevice, encoder: DeviceEncoder, network: Network
) -> None:
    block = late.allocate(4 * 2 * 40)
    there = View(block.pointer, (40, 2), np.dtype(np.float32))
    array(there)[:] = samples(7, 40)
    kept = [DeviceSample(block.pointer + 8 * i, block) for i in range(40)]
    host = samples(500, 3)
    rows = encoder.rows()
    given: list[Samples] = [kept[:32], kept[4:8], [*kept[10:13], *host, kept[39], kept[20]], kept[3:6]]
    calls: list[int] = []
    real = late.copy
    late.copy = lambda *a: (calls.append(a[0]), real(*a))[1]  # type: ignore[method-assign, assignment]
    copies = []
    for some in given:
        before = len(calls)
        encoder.add(some, rows)
        copies.append(len(calls) - before - 1)  # one brings features into their rows
    # In a row and as many as a call takes: where they are. Else each run of neighbours is one copy.
    assert copies == [0, 0, 3, 1]
    whole = [sample for some in given for sample in some]
    values = [
        array(View(sample.pointer, (2,), np.dtype(np.float32)))
        if isinstance(sample, DeviceSample)
        else sample
        for sample in whole
    ]
    np.testing.assert_array_equal(read(late, encoder, rows), expected(values))


def test_samples_that_lie_where_the_network_cannot_take_them_are_copied(
    late: HostDevice, pool: Pool, network: Network
) -> None:
    block = late.allocate(1024)
    array(View(block.pointer, (1024 // 8, 2), np.dtype(np.float32)))[:] = samples(7, 1024 // 8)
    first = -block.pointer % 256 // 8  # the first that begins as CUDA's own memory does
    network.alignment = 256
    encoder = DeviceEncoder(late, pool, network, dtype=np.float32, precision="fp32")
    rows = encoder.rows()
    for begin, in_place in ((first, True), (first + 1, False)):
        encoder.add([DeviceSample(block.pointer + 8 * i, block) for i in range(begin, begin + 4)], rows)
        assert (network.pointers[-1] == block.pointer + 8 * begin) is in_place
    np.testing.assert_array_equal(
        read(late, encoder, rows), expected(samples(7 + first, 4), samples(8 + first, 4))
    )


def test_who_waits_goes_together_with_others(
    late: HostDevice, encoder: DeviceEncoder, network: Network
) -> None:
    """While one queues, four others come: they are one call, and each has its own rows."""
    entered, go_on = threading.Event(), threading.Event()

    def hold(call: str) -> None:
        if call == "enqueue" and not entered.is_set():
            entered.set()
            assert go_on.wait(60)

    late.fail = hold
    banks = [encoder.rows() for _ in range(5)]
    with ThreadPoolExecutor(5) as threads:
        first = threads.submit(encoder.add, samples(0, 3), banks[0])
        assert entered.wait(60)
        others = [threads.submit(encoder.add, samples(10 * i, 5), banks[i]) for i in range(1, 5)]
        while len(encoder._waiting) < 4:
            pass
        go_on.set()
        assert [future.result() for future in [first, *others]] == [0] * 5
    assert network.sizes == [4, 32]
    np.testing.assert_array_equal(read(late, encoder, banks[0]), expected(samples(0, 3)))
    for i in range(1, 5):
        np.testing.assert_array_equal(read(late, encoder, banks[i]), expected(samples(10 * i, 5)))


def test_an_error_reaches_everyone_in_the_call_and_nobody_else(
    late: HostDevice, encoder: DeviceEncoder
) -> None:
    late.fail = broken("enqueue")
    with pytest.raises(DeviceError, match="made to fail"):
        encoder.add(samples(0, 3), encoder.rows())
    late.fail = lambda _: None
    rows = encoder.rows()
    encoder.add(samples(5, 3), rows)
    np.testing.assert_array_equal(read(late, encoder, rows), expected(samples(5, 3)))


def test_little_memory_means_fewer_slots(late: HostDevice, encoder: DeviceEncoder, module: Any) -> None:
    rows = encoder.rows()
    encoder.add(samples(0, 32), rows)
    module.pretended.most_bytes = module.pretended.in_use
    for i in range(1, 4):
        encoder.add(samples(100 * i, 32), rows)
    module.pretended.most_bytes = BIG
    np.testing.assert_array_equal(
        read(late, encoder, rows), expected(*(samples(100 * i, 32) for i in range(4)))
    )
    other = DeviceEncoder(late, Pool(late), Network(late), dtype=np.float32, precision="fp32")
    gc.collect()  # what earlier tests left would make room in the middle
    late.drain()
    module.pretended.most_bytes = module.pretended.in_use
    with pytest.raises(DeviceMemoryError):
        other.add(samples(0, 1), other.rows())
    module.pretended.most_bytes = BIG
    assert other.add(samples(0, 1), other.rows()) == 0


def test_an_engine_that_takes_no_single_sample_is_refused(late: HostDevice, pool: Pool) -> None:
    with pytest.raises(DeviceError, match="the least must be 1"):
        DeviceEncoder(late, pool, Network(late, range(2, 65)), dtype=np.float32, precision="fp32")
    few = DeviceEncoder(late, pool, Network(late, range(1, 20)), dtype=np.float32, precision="fp32")
    assert few.most == 16


def test_encoding_from_and_to_the_host(encoder: DeviceEncoder) -> None:
    whole = samples(3, 150)
    np.testing.assert_array_equal(encoder.encode(np.array(whole)), expected(whole))


def test_memory_that_is_given_back_is_used_by_others_only_after(late: HostDevice, pool: Pool) -> None:
    source, result = late.pin(8), late.pin(8)
    one, other = late.stream(), late.stream()
    for value in range(1, 30):
        block = pool.take(8, one)
        source.array[:] = value
        late.upload(block.pointer, source.pointer, 8, one)
        late.download(result.pointer, block.pointer, 8, one)
        pool.give(block, one)
        taken = pool.take(8, other)
        assert taken is block
        late.upload(taken.pointer, late_zeros(late), 8, other)
        pool.give(taken, other)
        event = late.event()
        late.record(event, other)
        late.synchronize(event)
        late.drain()
        assert (result.array == value).all()
    assert pool.blocks == 1
    pool.close()
    assert pool.blocks == 0


def late_zeros(device: HostDevice) -> int:
    return device.pin(8).pointer


def test_idle_memory_is_freed_before_there_is_none(late: HostDevice, pool: Pool, module: Any) -> None:
    # What earlier tests left behind must not be collected between the bound and what hits it.
    gc.collect()
    stream = late.stream()
    for size in (1 << 16, 1 << 18, 1 << 17):
        pool.give(pool.take(size, stream), stream)
    assert pool.blocks == 3
    module.pretended.most_bytes = module.pretended.in_use + (1 << 18)
    block = pool.take(1 << 19, stream)
    assert (pool.blocks, block.nbytes) == (1, 1 << 19)
    with pytest.raises(DeviceMemoryError):
        pool.take(1 << 20, stream)
    module.pretended.most_bytes = BIG

"""Memory that one stream frees while another reads it: where a wait is missing, streams read nonsense."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from l2l_engine.gpu.device import View
from tests.gpu.host import HostDevice, array

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
VALUES = np.arange(64, dtype=np.float32)


def by_dlpack(module: ModuleType, given: Any, stream: int) -> Any:
    return module.from_capsule("x", given.__dlpack__(stream=stream), module.Stream(stream, None))


def by_versioned_dlpack(module: ModuleType, given: Any, stream: int) -> Any:
    capsule = given.__dlpack__(stream=stream, max_version=(1, 0))
    return module.from_capsule("x", capsule, module.Stream(stream, None))


def by_interface(module: ModuleType, given: Any, stream: int) -> Any:
    return module.from_interface("x", given, module.Stream(stream, None))


def by_dlpack_of_another_library(module: ModuleType, given: Any, stream: int) -> Any:
    """Which frees its memory in an order of its own, as soon as it is let go."""
    return module.from_capsule("x", given.__dlpack__(stream=-1), module.Stream(stream, None))


def by_waiting(module: ModuleType, given: Any, stream: int) -> Any:
    module.await_array(given, module.Stream(stream, None))
    return given


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "way", [by_dlpack, by_versioned_dlpack, by_dlpack_of_another_library, by_interface, by_waiting]
)
def test_a_reader_on_another_stream_finds_what_was_there(
    devices: list[HostDevice], module: ModuleType, way: Callable[..., Any], seed: int
) -> None:
    device = devices[0]
    device._random.seed(seed)
    producer, consumer = device.stream(), device.stream()
    given = module.upload(VALUES, 0, module.Stream(producer, None))
    pointer = given.__cuda_array_interface__["data"][0]
    taken = way(module, given, consumer)
    seen: list[np.ndarray] = []
    view = View(pointer, VALUES.shape, VALUES.dtype)
    device.queue(consumer, lambda: seen.append(array(view).copy()))
    del given, taken
    device.drain()
    np.testing.assert_array_equal(seen[0], VALUES)
    # Nobody reads it any more: it is nonsense, and the next that asks for as much gets it.
    assert np.isnan(array(view)).all()
    again = module.empty((64,), 0, module.Stream(producer, None))
    assert again.__cuda_array_interface__["data"][0] == pointer


def test_memory_is_freed_in_the_order_of_its_stream(devices: list[HostDevice], module: ModuleType) -> None:
    """The twin itself: not at once, and not with another stream's work."""
    device = devices[0]
    producer = device.stream()
    before = module.pretended.in_use
    given = module.upload(VALUES, 0, module.Stream(producer, None))
    view = View(given.__cuda_array_interface__["data"][0], VALUES.shape, VALUES.dtype)
    del given
    np.testing.assert_array_equal(array(view), VALUES)
    assert module.pretended.in_use > before
    device.drain()
    assert np.isnan(array(view)).all()
    assert module.pretended.in_use == before

"""The driver's interface: each call with the arguments that CUDA's header says, and its errors."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from l2l_engine.backends import gpu
from l2l_engine.errors import DeviceError, DeviceLostError, DeviceMemoryError
from l2l_engine.gpu import driver as gpu_driver
from l2l_engine.gpu.driver import CudaDevice


@pytest.fixture
def device(driver: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> Iterator[CudaDevice]:
    monkeypatch.setattr(gpu, "_LIBRARY", driver._name)
    monkeypatch.setattr(gpu_driver, "_lost", {})
    yield CudaDevice()
    ctypes.c_int.in_dll(driver, "fail_with").value = 0
    ctypes.c_int.in_dll(driver, "device_count").value = 1
    driver.cuCtxSetCurrent(None)
    ctypes.c_size_t.in_dll(driver, "most_bytes").value = (1 << 64) - 1


def count(driver: ctypes.CDLL, name: str) -> int:
    return ctypes.c_long.in_dll(driver, name).value


def test_bytes_go_there_and_back(device: CudaDevice) -> None:
    assert device.name == "Pretended GPU"
    stream, event = device.stream(), device.event()
    assert stream > 1 << 32
    source, target = device.pin(1000), device.pin(1000)
    first, second = device.allocate(1000), device.allocate(1000)
    source.array[:] = np.random.default_rng(0).integers(0, 256, 1000)
    device.upload(first.pointer, source.pointer, 1000, stream)
    device.copy(second.pointer + 10, first.pointer, 990, stream)
    device.download(target.pointer, second.pointer + 10, 990, stream)
    device.record(event, stream)
    device.wait(stream, event)
    device.synchronize(event)
    assert np.array_equal(target.array[:990], source.array[:990])


def test_everything_is_given_back_once(device: CudaDevice, driver: ctypes.CDLL) -> None:
    names = ("allocated", "pinned", "streams", "events", "graphs")
    before = [count(driver, name) for name in names]
    blocks = [device.allocate(0), device.allocate(5), device.pin(0), device.pin(5)]
    stream, event = device.stream(), device.event()
    graph = device.capture(lambda _: None)
    assert [count(driver, name) for name in names] != before
    for block in blocks * 2:
        block.free()
    device.end_graph(graph)
    device.end_event(event)
    device.end_stream(stream)
    assert [count(driver, name) for name in names] == before


def test_a_graph_is_done_when_it_is_launched(device: CudaDevice, driver: ctypes.CDLL) -> None:
    shared, source, target = device.stream(), device.pin(8), device.allocate(8)
    result = device.pin(8)

    def work(stream: int) -> None:
        device.upload(target.pointer, source.pointer, 8, stream)
        device.download(result.pointer, target.pointer, 8, stream)

    graph = device.capture(work)
    for value in (3, 7):
        source.array[:] = value
        assert result.array[0] != value
        device.launch(graph, shared)
        assert (result.array == value).all()
    before = [count(driver, name) for name in ("graphs", "streams")]
    with pytest.raises(KeyError):
        device.capture(lambda _: {}["nothing"])
    assert [count(driver, name) for name in ("graphs", "streams")] == before


def test_what_is_captured_may_only_queue(device: CudaDevice, driver: ctypes.CDLL) -> None:
    """Of the capturing thread alone, and of what others do on streams of their own, nothing is captured."""
    before = [count(driver, name) for name in ("graphs", "streams", "allocated")]
    event = device.event()
    for work in (
        lambda _: device.allocate(8),
        lambda _: device.pin(8),
        lambda _: device.stream(),
        lambda _: device.synchronize(event),
    ):
        with pytest.raises(DeviceError, match=r"\(900\)"):
            device.capture(work)
    with pytest.raises(DeviceError, match=r"\(905\)"):
        device.capture(lambda stream: device.wait(stream, event))
    device.end_event(event)
    assert [count(driver, name) for name in ("graphs", "streams", "allocated")] == before


def test_urgent_streams_go_first(device: CudaDevice, driver: ctypes.CDLL) -> None:
    newest = ctypes.c_int.in_dll(driver, "last_priority")
    device.stream(urgent=True)
    assert newest.value == -5, "the most urgent there is"
    device.stream()
    assert newest.value == 0


def test_it_works_in_every_thread(device: CudaDevice, driver: ctypes.CDLL) -> None:
    """Each thread has a context of its own to set, and another library may have set another."""
    before = count(driver, "without_context")
    driver.cuCtxSetCurrent(ctypes.c_void_p(0x99))
    device.allocate(10).free()
    thread = threading.Thread(target=lambda: device.end_event(device.event()))
    thread.start()
    thread.join()
    assert count(driver, "without_context") == before


def test_errors_are_typed_and_say_what_failed(device: CudaDevice, driver: ctypes.CDLL) -> None:
    ctypes.c_size_t.in_dll(driver, "most_bytes").value = 100
    for take in (device.allocate, device.pin):
        with pytest.raises(DeviceMemoryError, match=r"Pretended GPU has not enough memory .*: 101 bytes"):
            take(101)
        take(100).free()
    stream = device.stream()
    for status in (1, 400, 600, 720, 999):
        ctypes.c_int.in_dll(driver, "fail_with").value = status
        words = rf"Pretended GPU fails: cuEventRecord: unknown error \({status}\)"
        with pytest.raises(DeviceError, match=words) as caught:
            device.record(stream, stream)
        assert not isinstance(caught.value, DeviceLostError)
    ctypes.c_int.in_dll(driver, "fail_with").value = 0
    device.require()

    def breaks(_: int) -> None:
        ctypes.c_int.in_dll(driver, "fail_with").value = 999

    with pytest.raises(DeviceError, match="cuGraphInstantiateWithFlags"):
        device.capture(breaks)
    with pytest.raises(DeviceError, match="cuStreamCreate"):
        device.capture(breaks)


@pytest.mark.parametrize("status", [214, 700, 701, 702, *range(710, 720)])
def test_after_a_sticky_error_everything_fails_at_once(
    device: CudaDevice, driver: ctypes.CDLL, status: int
) -> None:
    block, stream, other, event = device.allocate(8), device.stream(), CudaDevice(), device.event()
    ctypes.c_int.in_dll(driver, "fail_with").value = status
    told = rf"\({status}\); it is lost to this process, which must be started anew"
    with pytest.raises(DeviceLostError, match=told):
        device.record(event, stream)
    # As if CUDA forgot: nothing is asked of it any more, whoever asks.
    ctypes.c_int.in_dll(driver, "fail_with").value = 0
    for call in (
        device.stream,
        lambda: device.allocate(8),
        lambda: device.copy(block.pointer, block.pointer, 8, stream),
        lambda: device.capture(lambda _: None),
        other.require,
        block.free,
        CudaDevice,
    ):
        with pytest.raises(DeviceLostError, match=told):
            call()


def test_a_loss_that_another_library_met_is_seen(device: CudaDevice, driver: ctypes.CDLL) -> None:
    device.require()
    ctypes.c_int.in_dll(driver, "fail_with").value = 719
    with pytest.raises(DeviceLostError, match=r"cuStreamQuery: unknown error \(719\); it is lost"):
        device.require()


def test_each_gpu_works_in_its_own_context(device: CudaDevice, driver: ctypes.CDLL) -> None:
    ctypes.c_int.in_dll(driver, "device_count").value = 2
    with pytest.raises(DeviceError, match="there is no GPU 2: 2 can be used here, counted from 0"):
        CudaDevice(2)
    second = CudaDevice(1)
    assert (device.name, device.number) == ("Pretended GPU", 0)
    assert (second.name, second.number) == ("Second GPU", 1)
    streams = device.stream(), second.stream()
    before = count(driver, "without_context")
    for ours, theirs in ((0, 1), (1, 0)):
        gpu_of = (device, second)[ours]
        source, target = gpu_of.pin(8), gpu_of.allocate(8)
        gpu_of.upload(target.pointer, source.pointer, 8, streams[ours])
        with pytest.raises(DeviceError, match=r"\(400\)"):
            gpu_of.upload(target.pointer, source.pointer, 8, streams[theirs])
    assert count(driver, "without_context") == before
    ctypes.c_int.in_dll(driver, "fail_with").value = 700
    with pytest.raises(DeviceLostError, match="Second GPU"):
        second.require()
    ctypes.c_int.in_dll(driver, "fail_with").value = 0
    device.require()


@pytest.mark.parametrize("own", [0, 0x99])
def test_the_caller_keeps_its_context(device: CudaDevice, driver: ctypes.CDLL, own: int) -> None:
    """One of its own, as ``pycuda.autoinit`` makes it, or none."""

    def current() -> int:
        found = ctypes.c_void_p()
        driver.cuCtxGetCurrent(ctypes.byref(found))
        return found.value or 0

    driver.cuCtxSetCurrent(ctypes.c_void_p(own))
    before = count(driver, "without_context")
    stream, event, block, pinned = device.stream(), device.event(), device.allocate(8), device.pin(8)
    device.upload(block.pointer, pinned.pointer, 8, stream)
    device.record(event, stream)
    device.synchronize(event)
    graph = device.capture(lambda stream: device.upload(block.pointer, pinned.pointer, 8, stream))
    device.launch(graph, stream)
    device.end_graph(graph)
    device.require()
    ctypes.c_int.in_dll(driver, "fail_with").value = 999
    with pytest.raises(DeviceError):
        device.record(event, stream)
    ctypes.c_int.in_dll(driver, "fail_with").value = 0
    block.free()
    assert current() == own
    with device.use():
        assert current() == 0x77
    assert current() == own
    assert count(driver, "without_context") == before


def test_a_driver_that_is_too_old(
    driver: ctypes.CDLL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, path = tmp_path / "old.c", tmp_path / "libold.so"
    names = ("cuInit", "cuDeviceGetCount", "cuDriverGetVersion", "cuDeviceGet", "cuDeviceGetName")
    text = "".join(f"int {name}(void* p) {{ (void)p; return 0; }}\n" for name in names[:1])
    text += "int cuDeviceGetCount(int* n) { return *n = 1, 0; }\n"
    text += "".join(f"int {name}(int* p) {{ return *p = 0, 0; }}\n" for name in names[2:4])
    text += "int cuDeviceGetName(char* n, int l, int d) { (void)l, (void)d; return *n = 0; }\n"
    text += "int cuDeviceGetAttribute(int* v, int a, int d) { (void)a, (void)d; return *v = 3, 0; }\n"
    source.write_text(text)
    subprocess.run(
        [str(shutil.which("cc") or "gcc"), "-shared", "-fPIC", str(source), "-o", str(path)], check=True
    )
    monkeypatch.setattr(gpu, "_LIBRARY", str(path))
    with pytest.raises(DeviceError, match="driver is too old: it has no cuDevicePrimaryCtxRetain"):
        CudaDevice()

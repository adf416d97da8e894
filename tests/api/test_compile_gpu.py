"""The half of TensorRT that takes a GPU: what is said where a piece is missing, and what calls it makes.

That it computes the right features, no machine has shown yet.
"""

from __future__ import annotations

import ctypes
import importlib
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from l2l_engine.backends import gpu, tensorrt_encoder
from l2l_engine.backends.tensorrt import Flavour, TensorRTBuilder, load_library
from l2l_engine.backends.tensorrt_encoder import TensorRTEncoder
from l2l_engine.cuda.arrays import device_pointer
from l2l_engine.errors import DeviceError, DeviceMemoryError, PlanError
from tests.api.graphs import image_graph


@pytest.fixture(autouse=True)
def _fresh_library() -> Iterator[None]:
    load_library.cache_clear()
    yield
    load_library.cache_clear()


@pytest.mark.parametrize(
    ("flavour", "module", "remedy"),
    [
        ("tensorrt", "tensorrt", "pip install tensorrt-cu13"),
        ("tensorrt_rtx", "tensorrt_rtx_bindings", "pip install tensorrt-rtx-cu13-libs"),
    ],
)
class TestMissingPackage:
    def test_no_package(
        self, flavour: Flavour, module: str, remedy: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def hidden(name: str) -> ModuleType:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        monkeypatch.setattr(importlib, "import_module", hidden)
        with pytest.raises(DeviceError, match=f"package {module} is not installed") as caught:
            TensorRTBuilder(flavour)
        assert remedy in str(caught.value)

    def test_an_empty_package(
        self, flavour: Flavour, module: str, remedy: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
        with pytest.raises(DeviceError, match=f"{module} is there, but empty") as caught:
            TensorRTBuilder(flavour)
        assert remedy in str(caught.value)

    def test_a_package_without_its_libraries(
        self, flavour: Flavour, module: str, remedy: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
    ) -> None:
        package = tmp_path / module
        package.mkdir()
        (package / "__init__.py").write_text("import ctypes\nctypes.CDLL('libnowhere.so.1')\n")
        monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(DeviceError, match=r"libraries.*libnowhere\.so\.1") as caught:
            TensorRTBuilder(flavour)
        assert remedy in str(caught.value)


def test_the_real_bindings_without_their_libraries() -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed", exc_type=ImportError)
    script = """
import sys
sys.modules["tensorrt_rtx_libs"] = None  # importing it fails, as if it were not installed
from l2l_engine.backends.tensorrt import TensorRTBuilder
TensorRTBuilder("tensorrt_rtx")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert "DeviceError: tensorrt_rtx: its libraries are missing" in last
    assert "libtensorrt_rtx" in last
    assert "pip install tensorrt-rtx-cu13-libs" in last


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_LIBRARY", "libcuda-is-not-here.so.1")
    with pytest.raises(DeviceError, match="no NVIDIA driver"):
        gpu.find_gpu()


class Driver:
    """Answers as the documentation of the driver API says it does."""

    def __init__(self, *, init: int = 0, count: int = 1) -> None:
        self.init, self.count = init, count

    def cuInit(self, flags: int) -> int:  # noqa: N802
        assert flags == 0
        return self.init

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self.count
        return 0

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        version._obj.value = 13020
        return 0

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:  # noqa: N802
        assert ordinal == 0
        device._obj.value = 7
        return 0

    def cuDeviceGetName(self, name: Any, length: int, device: ctypes.c_int) -> int:  # noqa: N802
        assert (length, device.value) == (256, 7)
        name.value = b"NVIDIA L4"
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: ctypes.c_int) -> int:  # noqa: N802
        assert device.value == 7
        value._obj.value = {75: 8, 76: 9}[attribute]
        return 0


def test_a_driver_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for driver in (Driver(init=100), Driver(count=0)):
        monkeypatch.setattr(gpu, "_driver", lambda driver=driver: driver)
        with pytest.raises(DeviceError, match=r"no GPU.*CUDA_VISIBLE_DEVICES"):
            gpu.find_gpu()
    monkeypatch.setattr(gpu, "_driver", lambda: Driver(init=803))
    with pytest.raises(DeviceError, match="cuInit gave 803"):
        gpu.find_gpu()


def test_the_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_driver", Driver)
    found = gpu.find_gpu()
    assert found == gpu.GPU(name="NVIDIA L4", capability=(8, 9), driver=(13, 2))
    assert str(found) == "NVIDIA L4, sm89"


def test_running_an_engine_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed", exc_type=ImportError)
    engine = TensorRTBuilder("tensorrt_rtx").build(
        "image.fp32", image_graph(), dtype=np.uint8, batch=(1, 2, 4)
    )
    monkeypatch.setattr(gpu, "_LIBRARY", "libcuda-is-not-here.so.1")
    with pytest.raises(DeviceError, match="no NVIDIA driver"):
        TensorRTEncoder("tensorrt_rtx.image", engine, dtype=np.uint8, flavour="tensorrt_rtx")


def test_an_engine_that_tensorrt_does_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed", exc_type=ImportError)
    monkeypatch.setattr(tensorrt_encoder, "find_gpu", lambda: None)
    with pytest.raises((PlanError, DeviceError), match=r"compiled\.tensorrt_rtx\.image cannot be loaded: .+"):
        TensorRTEncoder("tensorrt_rtx.image", b"no engine", dtype=np.uint8, flavour="tensorrt_rtx")


@pytest.mark.parametrize(
    ("reasons", "error"),
    [
        ((), PlanError),
        (("MALFORMED_ENGINE",), PlanError),
        (("VERSION_MISMATCH",), PlanError),
        (("UNSUPPORTED_CC",), DeviceError),
        (("INSUFFICIENT_GPU_MEMORY",), DeviceMemoryError),
        (("VERSION_MISMATCH", "OLD_CUDA_DRIVER"), DeviceError),
    ],
)
def test_whether_engine_or_machine_is_at_fault(
    monkeypatch: pytest.MonkeyPatch, reasons: tuple[str, ...], error: type[Exception]
) -> None:
    """Only for an engine at fault is another one built."""
    api = pytest.importorskip(
        "tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed", exc_type=ImportError
    )

    class Runtime:
        def __init__(self, log: object) -> None: ...

        def deserialize_cuda_engine(self, engine: bytes) -> None: ...

        def get_engine_validity(self, engine: bytes) -> tuple[object, int]:
            bits = sum(int(getattr(api.EngineInvalidityDiagnostics, reason)) for reason in reasons)
            return api.EngineValidity.INVALID, bits

    assert hasattr(api.Runtime, "get_engine_validity")
    monkeypatch.setattr(tensorrt_encoder, "find_gpu", lambda: None)
    monkeypatch.setattr(api, "Runtime", Runtime)
    with pytest.raises(error) as caught:
        TensorRTEncoder("tensorrt_rtx.image", b"", dtype=np.uint8, flavour="tensorrt_rtx")
    assert ", ".join(reasons) in str(caught.value)
    assert ("pip install tensorrt-cu13" in str(caught.value)) == ("UNSUPPORTED_CC" in reasons)


class Array:
    def __init__(self, shape: tuple[int, ...], typestr: str, pointer: int, strides: Any = None) -> None:
        data = (pointer, False)
        self.__cuda_array_interface__ = {
            "shape": shape,
            "typestr": typestr,
            "data": data,
            "strides": strides,
            "version": 3,
        }


def test_an_array_in_gpu_memory() -> None:
    float32 = np.dtype(np.float32)
    assert device_pointer("batch", Array((2, 3), "<f4", 64), float32, (-1, 3)) == 64
    assert device_pointer("batch", Array((2, 3), "<f4", 64, (12, 4)), float32, (2, 3)) == 64
    for array, error, message in (
        (np.zeros((2, 3), np.float32), TypeError, "GPU memory, not ndarray"),
        (Array((2, 3), "<f8", 64), TypeError, "float32, not float64"),
        (Array((2, 4), "<f4", 64), ValueError, "shape"),
        (Array((2, 3, 1), "<f4", 64), ValueError, "shape"),
        (Array((2, 3), "<f4", 64, (4, 8)), ValueError, "contiguous"),
    ):
        with pytest.raises(error, match=message):
            device_pointer("batch", array, float32, (-1, 3))  # type: ignore[arg-type]


class Context:
    """Takes the calls that the documentation names, and writes them down."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.working = True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.calls.append(("shape", name, shape))
        return True

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self.calls.append(("address", name, memory))
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        self.calls.append(("execute", stream_handle))
        return self.working


def api_with_an_engine(monkeypatch: pytest.MonkeyPatch, context: Context) -> None:
    """TensorRT-RTX with a runtime that hands out ``context`` for any engine."""
    api = pytest.importorskip(
        "tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed", exc_type=ImportError
    )

    class Engine:
        num_io_tensors = 2

        def get_tensor_name(self, index: int) -> str:
            return ("images", "features")[index]

        def get_tensor_mode(self, name: str) -> object:
            return api.TensorIOMode.INPUT if name == "images" else api.TensorIOMode.OUTPUT

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return (-1, 112, 112, 3) if name == "images" else (-1, 12)

        def get_tensor_dtype(self, name: str) -> object:
            return api.uint8 if name == "images" else api.float32

        def get_tensor_profile_shape(self, name: str, index: int) -> list[tuple[int, ...]]:
            assert (name, index) == ("images", 0)
            return [(1, 112, 112, 3), (2, 112, 112, 3), (4, 112, 112, 3)]

        def create_runtime_config(self) -> SimpleNamespace:
            return SimpleNamespace(dynamic_shapes_kernel_specialization_strategy=None)

        def create_execution_context(self, *, runtime_config: SimpleNamespace) -> Context:
            strategy = api.DynamicShapesKernelSpecializationStrategy.EAGER
            assert runtime_config.dynamic_shapes_kernel_specialization_strategy == strategy
            return context

    class Runtime:
        def __init__(self, log: object) -> None:
            assert isinstance(log, api.ILogger)

        def deserialize_cuda_engine(self, data: bytes) -> Engine:
            return Engine()

    for stand_in, real in ((Engine, api.ICudaEngine), (Context, api.IExecutionContext)):
        assert {name for name in vars(stand_in) if not name.startswith("_")} <= set(dir(real))
    monkeypatch.setattr(tensorrt_encoder, "find_gpu", lambda: None)
    monkeypatch.setattr(api, "Runtime", Runtime)


def test_a_call_is_put_on_the_stream_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    context = Context()
    api_with_an_engine(monkeypatch, context)
    encoder = TensorRTEncoder("tensorrt_rtx.image", b"", dtype=np.uint8, flavour="tensorrt_rtx")
    assert (encoder.input_shape, encoder.features, list(encoder.batch)) == ((112, 112, 3), 12, [1, 2, 3, 4])
    worker = encoder.worker()
    batch, features = Array((3, 112, 112, 3), "|u1", 1000), Array((3, 12), "<f4", 2000)
    worker.enqueue(batch, features, 77)
    assert context.calls == [
        ("shape", "images", (3, 112, 112, 3)),
        ("address", "images", 1000),
        ("address", "features", 2000),
        ("execute", 77),
    ]
    with pytest.raises(ValueError, match="5 samples, the engine takes 1 to 4"):
        worker.enqueue(Array((5, 112, 112, 3), "|u1", 1000), Array((5, 12), "<f4", 2000), 77)
    with pytest.raises(ValueError, match=r"features must have shape \(3, 12\)"):
        worker.enqueue(batch, Array((2, 12), "<f4", 2000), 77)
    assert len(context.calls) == 4
    context.working = False
    with pytest.raises(DeviceError, match="does not run"):
        worker.enqueue(batch, features, 77)


def test_memory_that_runs_out_in_a_call_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    context = Context()
    api_with_an_engine(monkeypatch, context)
    encoder = TensorRTEncoder("tensorrt_rtx.image", b"", dtype=np.uint8, flavour="tensorrt_rtx")
    log = load_library("tensorrt_rtx").log

    def fails(stream_handle: int) -> bool:
        log.errors.append(
            "[enqueue] Error Code 2: OutOfMemory (Requested size was 12 bytes, memory is short)"
        )
        return False

    monkeypatch.setattr(context, "execute_async_v3", fails)
    with pytest.raises(DeviceMemoryError, match=r"image does not run: .*Requested size"):
        encoder.worker().enqueue(Array((3, 112, 112, 3), "|u1", 1024), Array((3, 12), "<f4", 2048), 77)


def test_an_engine_of_another_shape_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    api_with_an_engine(monkeypatch, Context())
    with pytest.raises(PlanError, match="takes uint8, expected float32"):
        TensorRTEncoder("tensorrt_rtx.audio", b"", dtype=np.float32, flavour="tensorrt_rtx")

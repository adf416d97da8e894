"""device='cuda' where a piece is missing: which one, and how to get it; the real checks, pieces hidden."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from l2l_engine import Classifier, DeviceError
from l2l_engine.backends import gpu, tensorrt
from l2l_engine.cuda import native
from l2l_engine.gpu import loading


@pytest.fixture(autouse=True)
def _all_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU, the CUDA side and TensorRT, as far as the checks look."""
    here = ModuleType("_cuda")
    here.require_device = lambda device: None  # type: ignore[attr-defined]
    monkeypatch.setattr(native, "module", lambda: here)
    monkeypatch.setattr(loading, "find_gpu", lambda number: gpu.GPU("Some GPU", (9, 0), (13, 0)))
    monkeypatch.setattr(loading, "load_library", lambda flavour: None)


def refused(plan_file: Path) -> str:
    with pytest.raises(DeviceError, match="device='cuda' is not available") as caught:
        Classifier(plan_file, device="cuda")
    assert str(caught.value).endswith("or use 'cpu'")
    with Classifier(plan_file, device="auto") as classifier:
        assert classifier.device == "cpu"
    return str(caught.value)


def test_nothing_is_missing() -> None:
    assert loading.why_not() is None


def test_no_driver(plan_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "find_gpu", gpu.find_gpu)
    monkeypatch.setattr(gpu, "_LIBRARY", "libcuda-is-not-here.so.1")
    said = refused(plan_file)
    assert "no NVIDIA driver (libcuda-is-not-here.so.1): install the GPU's" in said
    assert "TensorRT" not in said


def test_a_build_without_cuda(plan_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(native, "_NAME", "l2l_engine._not_built")
    assert "no CUDA side; install it from its sources with L2L_CUDA=ON" in refused(plan_file)


def test_no_tensorrt(plan_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensorrt.load_library.cache_clear()
    monkeypatch.setattr(loading, "load_library", tensorrt.load_library)
    for module in ("tensorrt", "tensorrt_rtx_bindings"):
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
    said = refused(plan_file)
    tensorrt.load_library.cache_clear()
    assert "pip install tensorrt-cu13" in said
    assert "or tensorrt_rtx: " in said
    assert "pip install tensorrt-rtx-cu13-libs tensorrt-rtx-cu13-bindings" in said
    assert "driver" not in said


def test_one_tensorrt_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_rtx(flavour: str) -> None:
        if flavour == "tensorrt":
            raise DeviceError("tensorrt: not here")

    monkeypatch.setattr(loading, "load_library", only_rtx)
    assert loading.why_not() is None
    assert loading._flavour() == "tensorrt_rtx"


def test_precisions(plan_file: Path) -> None:
    with pytest.raises(DeviceError, match="precision='bf16' is for the CPU"):
        Classifier(plan_file, device="cuda", precision="bf16")
    with pytest.raises(DeviceError, match="precision='fp16' is for device='cuda'"):
        Classifier(plan_file, device="cpu", precision="fp16")
    with pytest.raises(ValueError, match="precision"):
        Classifier(plan_file, device="cuda", precision="fp8")  # type: ignore[arg-type]

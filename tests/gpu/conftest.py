"""Fixtures over the stand-in device. Tests that need neither OpenVINO nor PyAV are collected without them."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from l2l_engine.cuda import CudaSkimmer, native
from tests.gpu.host import HostDevice, HostKernels, HostNetwork, late_memory

if TYPE_CHECKING:
    from l2l_engine import Classifier
    from l2l_engine.plan import Plan

sys.path.append(str(Path(__file__).parents[1] / "kernels"))
BIG = (1 << 64) // 4


@pytest.fixture(scope="session")
def plan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny encoders, random skimmer."""
    from l2l_engine.plan import write_plan
    from tests.api.graphs import audio_graph, image_graph
    from tests.api.plans import DOCUMENT, random_skim

    path = tmp_path_factory.mktemp("plan") / "tiny.plan"
    graphs = {"image.fp32": image_graph(), "audio.fp32": audio_graph()}
    write_plan(path, DOCUMENT, graphs=graphs, skim=random_skim())
    return path


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The CUDA side of the native core for the host."""
    from native_build import cuda_on_host  # type: ignore[import-not-found]

    made: ModuleType = cuda_on_host()
    monkeypatch.setattr(native, "module", lambda: made)
    made.pretended.waits = []  # type: ignore[attr-defined]
    yield made
    made.pretended.missing, made.pretended.captured = "", 0  # type: ignore[attr-defined]
    made.pretended.most_bytes = BIG  # type: ignore[attr-defined]


@pytest.fixture
def devices(module: ModuleType) -> Iterator[list[HostDevice]]:
    """Two GPUs of the host."""
    module.pretended.devices = 2
    made = [HostDevice(module, number=number) for number in range(2)]
    with late_memory(module, made):
        yield made
    module.pretended.devices = 1


@pytest.fixture
def device(devices: list[HostDevice]) -> HostDevice:
    """The first."""
    return devices[0]


@pytest.fixture
def networks(devices: list[HostDevice], monkeypatch: pytest.MonkeyPatch) -> dict[str, HostNetwork]:
    """Everything that takes a GPU is the host's; what was loaded comes to stand in the result.

    Networks go by part, those of the second GPU by e.g. "image:1".
    """
    from l2l_engine.backends import INPUTS
    from l2l_engine.backends.openvino import OpenVINOEncoder
    from l2l_engine.gpu import frames, loading
    from l2l_engine.media.dali import ON_CPU, DaliDecoder

    made: dict[str, HostNetwork] = {}

    def network(plan: Plan, part: str, precision: str, trusted: bool, number: int) -> HostNetwork:
        graph = plan.graphs[f"{part}.{precision}"]
        encoder = OpenVINOEncoder(f"{part}.{precision}", graph, dtype=INPUTS[part], arithmetic="fp32")
        assert devices[number].current
        name = f"{part}:{number}" if number else part
        made[name] = HostNetwork(devices[number], encoder)
        return made[name]

    real = loading._load_skimmer

    def skimmer(plan: Plan, number: int) -> tuple[HostKernels, Any]:
        kernels, averager = real(plan, number)
        return HostKernels(devices[number], kernels._made, kernels.sizes), averager

    monkeypatch.setattr(loading, "why_not", lambda _: None)
    monkeypatch.setattr(loading, "CudaDevice", lambda number: devices[number])
    monkeypatch.setattr(loading, "_load_network", network)
    monkeypatch.setattr(loading, "CudaSkimmer", partial(CudaSkimmer, precision="fp32"))
    monkeypatch.setattr(loading, "_load_skimmer", skimmer)
    monkeypatch.setattr(loading, "ON_GPU", ON_CPU)
    monkeypatch.setattr(frames, "DaliDecoder", partial(DaliDecoder, device="cpu"))
    return made


@pytest.fixture
def classifier(networks: dict[str, HostNetwork], plan_file: Path) -> Iterator[Classifier]:
    from l2l_engine import Classifier

    with Classifier(plan_file, device="cuda") as made:
        yield made


@pytest.fixture
def on_cpu(plan_file: Path) -> Iterator[Classifier]:
    from l2l_engine import Classifier

    with Classifier(plan_file, device="cpu", precision="fp32") as made:
        yield made


@pytest.fixture
def same() -> Callable[[Any, Any], None]:
    """Two predictions say the same, but for who made them and how long it took."""

    def check(got: Any, expected: Any, tolerance: float = 1e-5) -> None:
        assert got.label == expected.label
        np.testing.assert_allclose(got.probabilities, expected.probabilities, atol=tolerance)
        np.testing.assert_array_equal(got.timestamps, expected.timestamps)
        for ours, theirs in zip(got.moments, expected.moments, strict=True):
            np.testing.assert_allclose(ours.image_attention, theirs.image_attention, atol=tolerance)
            np.testing.assert_allclose(ours.audio_attention, theirs.audio_attention, atol=tolerance)
            np.testing.assert_allclose(ours.modality_scores, theirs.modality_scores, atol=tolerance)
        if expected.media is not None:
            for name in ("coverage", "image_knots", "audio_knots", "sampling", "duration", "image_planned"):
                assert getattr(got.media, name) == getattr(expected.media, name)

    return check


def _header() -> Path | None:
    """The folder of CUDA's header: the toolkit's, or that of the package PyTorch brings."""
    folders = []
    if nvcc := shutil.which("nvcc"):
        folders.append(Path(nvcc).resolve().parents[1] / "include")
    folders.append(Path("/usr/local/cuda/include"))
    for name in ("nvidia", "triton"):
        spec = importlib.util.find_spec(name)
        for place in spec.submodule_search_locations or () if spec else ():
            folders += [Path(place) / "cu13" / "include", Path(place) / "backends" / "nvidia" / "include"]
    return next((folder for folder in folders if (folder / "cuda.h").exists()), None)


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The driver's functions on the host, compiled with CUDA's own header."""
    header, compiler = _header(), shutil.which("cc") or shutil.which("gcc")
    if header is None or compiler is None:
        pytest.skip("there is no cuda.h, or no C compiler")
    path = tmp_path_factory.mktemp("driver") / "libcuda_on_host.so"
    source = Path(__file__).with_name("libcuda_on_host.c")
    warn = ("-Wall", "-Wextra", "-Werror")
    command = [compiler, "-shared", "-fPIC", "-O1", *warn, f"-I{header}", str(source), "-o", str(path)]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(path))

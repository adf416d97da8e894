"""Engines that TensorRT-RTX really builds here; what they compute is for a machine with a GPU to show."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from l2l_engine.backends import INPUTS, EngineCache, build_section, load_engine, tensorrt
from l2l_engine.backends.builder import Batch
from l2l_engine.backends.tensorrt import TensorRTBuilder
from l2l_engine.errors import DeviceError, PlanError
from l2l_engine.plan import Plan, read_plan, write_compiled
from tests.api.commands import inside
from tests.api.graphs import image_graph
from tests.api.networks import Precision, resnet18

pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed", exc_type=ImportError)

BATCH: Batch = (3, 37, 1009)
SAMPLES = {"image": (112, 112, 3), "audio": (16000,)}
DEMO = Path(__file__).parents[2] / "demo" / "demo.plan"


@pytest.fixture(scope="module")
def builder() -> TensorRTBuilder:
    return TensorRTBuilder("tensorrt_rtx")


def check(engine: bytes, part: str, graph: bytes, beside: float = 1.5e6) -> None:
    """The engine names its tensors, holds the profile it was built for, and the graph's weights."""
    for name in (b"images" if part == "image" else b"samples", b"features"):
        assert name in engine
    for size in BATCH:
        assert struct.pack(f"<{1 + len(SAMPLES[part])}q", size, *SAMPLES[part]) in engine
    assert 0.98 * len(graph) < len(engine) < 1.1 * len(graph) + beside


@pytest.mark.parametrize("part", ["image", "audio"])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_encoders_of_the_papers_size(builder: TensorRTBuilder, part: str, precision: Precision) -> None:
    graph = resnet18(part, precision)
    engine = builder.build(f"{part}.{precision}", graph, dtype=INPUTS[part], batch=BATCH)
    check(engine, part, graph)
    # Weights are as wide as the precision says: 11.2 million of them.
    width = {"fp32": 4, "fp16": 2, "int8": 1}[precision]
    assert 11.1e6 * width < len(engine) < 11.2e6 * width + 4e6


def test_every_encoder_of_the_demo_plan(builder: TensorRTBuilder) -> None:
    graphs = read_plan(DEMO).graphs
    assert {"image.fp32", "audio.fp32"} <= graphs.keys()
    for name, graph in graphs.items():
        part = name.partition(".")[0]
        # Beside a small network's int8 weights lie the float ones of its pre-processing, more than once.
        beside = 4e6 if name.endswith(".int8") else 1.5e6
        check(builder.build(name, graph, dtype=INPUTS[part], batch=BATCH), part, graph, beside)


def test_fp32_is_not_tf32(builder: TensorRTBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    api, seen = tensorrt.load_library("tensorrt_rtx").api, []
    build = api.Builder.build_serialized_network
    fresh = api.Builder(tensorrt.load_library("tensorrt_rtx").log).create_builder_config()
    assert fresh.get_flag(api.BuilderFlag.TF32), "it is on unless cleared"

    def spied(self: Any, network: Any, config: Any) -> Any:
        seen.append(config.get_flag(api.BuilderFlag.TF32))
        return build(self, network, config)

    monkeypatch.setattr(api.Builder, "build_serialized_network", spied)
    builder.build("image.fp32", image_graph(), dtype=np.uint8, batch=BATCH)
    assert seen == [False]


def test_what_an_engine_is_for(builder: TensorRTBuilder) -> None:
    assert builder.name == "tensorrt_rtx"
    assert builder.version[0].isdigit()
    assert builder.device.startswith("sm80")


@pytest.mark.parametrize(
    ("graph", "dtype", "batch", "message"),
    [
        (b"no graph", np.uint8, BATCH, "not taken by tensorrt_rtx"),
        (b"location", np.uint8, BATCH, "outside the plan"),
        (image_graph(), np.float32, BATCH, "takes uint8, expected float32"),
        (image_graph(), np.uint8, (4, 2, 8), "cannot be built for batches"),
    ],
)
def test_what_cannot_be_built_is_refused(
    builder: TensorRTBuilder, graph: bytes, dtype: type[np.generic], batch: Batch, message: str
) -> None:
    with pytest.raises(PlanError, match=message) as caught:
        builder.build("image.fp32", graph, dtype=dtype, batch=batch)
    assert "graph.image.fp32" in str(caught.value)


def test_engines_are_built_once_a_machine(builder: TensorRTBuilder, plan_file: Path, tmp_path: Path) -> None:
    """The load policy with real engines; loading them takes a GPU, so the bytes stand for the encoder."""
    plan, store = read_plan(plan_file), EngineCache(tmp_path / "cache")

    def load(plan: Plan, **options: Any) -> tuple[bytes, str]:
        return load_engine(plan, "image.fp32", builder, lambda *, engine: engine, cache=store, **options)

    engine, origin = load(plan)
    assert origin == "built"
    assert load(plan) == (engine, "cache")
    section = build_section(plan, "image.fp32", builder, (1, 32, 64))
    assert section[1] != engine
    compiled = write_compiled(tmp_path / "compiled.plan", plan, {"tensorrt_rtx.image": section})
    assert load(compiled) == (engine, "cache")  # nothing says that the section was built here
    assert load(compiled, trusted=True) == (section[1], "plan")
    digest = compiled.tensors["compiled.tensorrt_rtx.image"]["sha256"]
    store.record("tensorrt_rtx", section[0], digest)
    assert load(compiled) == (section[1], "plan")
    few = build_section(plan, "image.fp32", builder, (1, 2, 8))
    small = write_compiled(tmp_path / "small.plan", plan, {"tensorrt_rtx.image": few})
    assert load(small, trusted=True) == (engine, "cache")  # for fewer samples than a call has


def test_the_flavour_that_needs_a_gpu_says_so(
    plan_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tensorrt.load_library("tensorrt_rtx")
    monkeypatch.setattr(tensorrt, "load_library", lambda flavour: library)
    monkeypatch.setattr("l2l_engine.backends.gpu._LIBRARY", "libcuda-is-not-here.so.1")
    status, _, err = inside("compile", plan_file, "-o", tmp_path / "a.plan", "--backend", "tensorrt")
    assert status == 2
    assert "no NVIDIA driver" in err
    with pytest.raises(DeviceError, match="no NVIDIA driver"):
        TensorRTBuilder("tensorrt").build("image.fp32", image_graph(), dtype=np.uint8, batch=BATCH)
    assert inside("compile", plan_file, "-o", tmp_path / "b.plan")[0] == 0
    assert {name.partition(".")[0] for name in read_plan(tmp_path / "b.plan").compiled} == {"tensorrt_rtx"}

"""The GPU check's sections rehearsed without one: the engine over the stand-in device, PyTorch on the CPU."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from benchmarks.gpu import answers, encoders, paper, pipelines, whole
from benchmarks.gpu.replay import Replayed, ReplayedNetwork, replayed_networks
from benchmarks.gpu.section import NotRunError, goal
from benchmarks.networks import SMALL, Networks, networks
from l2l_engine.errors import DeviceError
from l2l_engine.gpu import loading
from l2l_engine.gpu.device import View
from tests.gpu.conftest import device, devices, module  # noqa: F401 - fixtures
from tests.gpu.conftest import networks as stand_in  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
TINY = (pipelines.File("8 s", 8, (160, 120), 2, 1, 2), pipelines.File("16 s", 16, (160, 120), 2, 1, 2))


@pytest.fixture(scope="session")
def small() -> Networks:
    return networks(SMALL, paper.PRECISIONS)


@pytest.fixture
def rehearsed(
    stand_in: object,  # noqa: F811
    small: Networks,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """Sections find a GPU, and small networks in place of the paper's."""
    monkeypatch.setattr(paper, "networks", lambda: small)
    monkeypatch.setattr(paper, "plan_path", lambda: small.plan.path)
    for section in (encoders, pipelines):
        monkeypatch.setattr(section, "needs_torch", lambda: torch)
    yield
    gc.collect()


def test_the_plan_is_the_exporters(rehearsed: None) -> None:
    record = paper.plan()
    assert record["graphs"] == ["audio.fp16", "audio.fp32", "image.fp16", "image.fp32"]


def test_a_missing_tool_of_the_exporters_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper, "TOOLS", ("torch", "no_such_tool"))
    with pytest.raises(NotRunError, match="no_such_tool cannot be imported"):
        paper.networks()


def test_pipelines_beside_peers(rehearsed: None) -> None:
    record = pipelines.pipelines("cpu", TINY)
    assert (record["measured"], record["goal met"]) == (True, True), record
    everyone = {"GPU", "GPU, same frames", "CPU", "CPU, same frames", "PyTorch eager", "dense student"}
    for file in TINY:
        row = record["table"][file.name]
        assert set(row["p50 ms"]) == everyone
        assert {"GPU, 2 at a time", "CPU, 2 at a time", *everyone} == set(row["videos/s"])
        assert row["answers agree"]
    assert record["precision"] == {"GPU": "fp16", "CPU": record["precision"]["CPU"], "peers": "fp16"}


def test_pipelines_out_of_time_are_not_passed(rehearsed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines, "SECONDS", 0.0)
    record = pipelines.pipelines("cpu", TINY[:1])
    assert record["goal met"] is None
    assert "dense student on 8 s" in record["reason"]


def test_a_peer_that_answers_otherwise_fails(rehearsed: None, small: Networks) -> None:
    def other(path: object) -> torch.Tensor:
        return torch.eye(len(small.plan.document.classes))[0] * 100

    with whole.on_gpu(small.plan.path) as (gpu, _):
        engines = {"GPU": gpu}
        record = pipelines.raced(engines, {"PyTorch eager": other}, TINY[:1], time.monotonic() + 600)
    assert (record["measured"], record["goal met"]) == (True, False)


def test_peers_that_fail_leave_our_figures(
    rehearsed: None, small: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where OpenVINO is missing, and PyTorch lacks what a peer calls."""

    def broken(*_: object) -> Any:
        raise RuntimeError("no such operation")

    monkeypatch.setattr(pipelines, "_on_cpu", broken)
    monkeypatch.setattr("benchmarks.peers.sparse.PlainSparse.__call__", broken)
    monkeypatch.setattr("benchmarks.peers.dense.DenseStudent.__init__", broken)
    record = pipelines.pipelines("cpu", TINY[:1])
    assert set(record["table"]["8 s"]["p50 ms"]) == {"GPU", "GPU, same frames"}
    assert (record["measured"], record["goal met"]) == (True, None)
    assert set(record["problems"]) == {"CPU", "PyTorch eager", "dense student"}


@pytest.fixture
def carried(rehearsed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The CPU's answers for few videos, made as they are for a GPU."""
    path = tmp_path / "answers.json"
    monkeypatch.setattr(answers, "PATH", path)
    monkeypatch.setattr(answers, "VIDEOS", 6)
    monkeypatch.setattr(answers, "FEW", 2)
    answers.make(path, (6, 2), said=lambda _: None)
    return path


def test_agreement_with_answers_that_were_carried(carried: Path) -> None:
    record = whole.agreement()
    assert (record["measured"], record["goal met"]) == (True, True), record
    assert (record["labels"]["videos"], record["logits"]["videos"]) == (6, 2)
    assert (record["labels"]["same bytes"], record["logits"]["same bytes"]) == (6, 2)
    assert (record["labels"]["precision"], record["logits"]["precision"]) == ("fp32", "fp16")
    assert record["logits"]["apart in all"] > 0


def test_answers_of_other_weights_are_not_compared(carried: Path) -> None:
    plain = json.loads(carried.read_text())
    plain["paper"]["weights"]["audio.fp32"] *= 1.001
    carried.write_text(json.dumps(plain))
    record = whole.agreement()
    assert (record["measured"], record["goal met"], record["logits"]) == (True, None, None)
    assert "answers of other weights" in record["problems"]["paper"]
    assert record["labels"]["share"] == 1.0


def test_without_answers_it_is_not_run(
    rehearsed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "PATH", tmp_path / "none.json")
    with pytest.raises(NotRunError, match=r"python -m benchmarks\.gpu\.answers makes it"):
        whole.agreement()


@pytest.mark.parametrize(
    ("labels", "logits", "met"),
    [
        ((200, 0.995, 0.1), (40, 1.0, 0.02), True),
        ((200, 0.994, 0.0), (40, 1.0, 0.0), False),
        ((200, 1.0, 0.0), (40, 1.0, 0.021), False),
        ((199, 1.0, 0.0), (40, 1.0, 0.0), None),
        ((200, 1.0, 0.0), (8, 1.0, 0.0), None),
        ((8, 0.5, 0.0), (8, 1.0, 0.0), False),
    ],
)
def test_what_counts_as_agreement(
    labels: tuple[int, float, float], logits: tuple[int, float, float], met: bool | None
) -> None:
    first, second = (dict(zip(("videos", "share", "apart"), x, strict=True)) for x in (labels, logits))
    assert whole.agreed(first, second)["goal met"] is met
    assert whole.agreed(first, None)["goal met"] in (None, met)


@pytest.mark.parametrize(
    ("count", "growth", "met"),
    [(2000, 1 << 20, True), (1999, 1 << 20, None), (2000, 65 << 20, False), (9, 65 << 20, False)],
)
def test_what_counts_as_flat(count: int, growth: int, met: bool | None) -> None:
    assert whole.flat(count, growth)["goal met"] is met


def test_memory(rehearsed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "MANY", 4)
    left = iter([10 << 20, 9 << 20])
    monkeypatch.setattr(whole, "free_bytes", lambda: next(left))
    record = whole.memory()
    assert (record["goal met"], record["predictions"], record["growth"]) == (True, 4, 1 << 20)


def test_without_tensorrt_pytorch_encodes(
    rehearsed: None, small: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(plan: Any, part: str, precision: str, trusted: bool, number: int) -> Any:
        raise DeviceError("no engine runs on this GPU")

    monkeypatch.setattr(loading, "_load_network", load)
    seen = []

    def replayed(plan: Any, part: str, precision: str, trusted: bool) -> Any:
        seen.append((part, precision))
        raise DeviceError("PyTorch was asked")

    monkeypatch.setattr("benchmarks.gpu.section.needs_torch", lambda: torch)
    monkeypatch.setattr(
        "benchmarks.gpu.replay.ReplayedNetwork", lambda *_, **__: replayed(None, "any", "", False)
    )
    with pytest.raises(NotRunError, match="PyTorch was asked"), whole.on_gpu(small.plan.path):
        pass
    assert seen == [("any", "")]
    before = loading._load_network, loading._missing_tensorrt
    with replayed_networks(torch, device="cpu"):
        assert loading._missing_tensorrt() is None
    assert (loading._load_network, loading._missing_tensorrt) == before


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("part", ["image", "audio"])
def test_the_replayed_graph_computes_what_it_says(small: Networks, part: str, precision: str) -> None:
    data = bytes(small.plan.graphs[f"{part}.{precision}"])
    rng = np.random.default_rng(0)
    if part == "image":
        batch: Any = rng.integers(0, 256, (2, 112, 112, 3), np.uint8)
    else:
        batch = rng.standard_normal((2, 16000)).astype(np.float32)
    session = onnxruntime.InferenceSession(data)
    (expected,) = session.run(None, {onnx.load_from_string(data).graph.input[0].name: batch})
    got = Replayed(torch, data, device="cpu")(torch.from_numpy(batch)).float().numpy()
    near = {"fp32": 1e-4, "fp16": 2e-2}[precision] * np.abs(expected).max()
    np.testing.assert_allclose(got, expected, atol=near)
    network = ReplayedNetwork(torch, data, device="cpu")
    assert (network.input_shape, network.features) == (batch.shape[1:], expected.shape[1])
    out = np.zeros((2, network.features), np.float32)
    there = [View(x.ctypes.data, x.shape, x.dtype, x) for x in (batch, out)]
    worker = network.worker()
    for _ in range(2):
        out[:] = 0
        worker.enqueue(there[0], there[1], 0)
        np.testing.assert_allclose(out, got, atol=near / 10)


def test_a_graph_of_pytorchs_is_not_captured_again(small: Networks, monkeypatch: pytest.MonkeyPatch) -> None:
    network = ReplayedNetwork(torch, bytes(small.plan.graphs["image.fp32"]), device="cpu")
    monkeypatch.setattr(network, "is_capturing", lambda: True)
    with pytest.raises(DeviceError, match="CUDA graphs already"):
        network.worker().enqueue(SimpleNamespace(shape=(1,)), SimpleNamespace(), 0)  # type: ignore[arg-type]


def test_encoders_without_an_engine_are_not_run(rehearsed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def times(torch: Any, works: dict[str, Any]) -> dict[str, float]:
        for work in works.values():
            work()
        return dict.fromkeys(works, 1.0)

    def no(*_: Any) -> Any:
        raise RuntimeError("there is no GPU")

    monkeypatch.setattr(encoders, "microseconds", times)
    monkeypatch.setattr(encoders, "graph", no)
    monkeypatch.setattr(encoders, "_compiled", no)
    record = encoders.encoders("cpu")
    assert (record["measured"], record["goal met"]) == (True, None)
    assert "GPU" in record["reason"]
    assert record["parts"]["image"]["problems"]["torch.compile"] == "RuntimeError: there is no GPU"


def test_which_engines_pass() -> None:
    ran, slow = ({"goals": [goal("times PyTorch eager", x, at_least=2)]} for x in (3.0, 1.0))
    lacking, failed = {"reason": "not run: no TensorRT"}, {"reason": "failed: RuntimeError"}

    def met(image: dict[str, Any], audio: dict[str, Any], other: dict[str, Any] = lacking) -> bool | None:
        parts = {
            name: {"us": {}, "engines": {"tensorrt": made, "tensorrt_rtx": other}}
            for name, made in (("image", image), ("audio", audio))
        }
        return encoders.judged(parts)["goal met"]

    assert met(ran, ran) is True
    assert met(ran, slow) is False
    assert met(ran, lacking) is False
    assert met(lacking, lacking) is None
    assert met(ran, ran, failed) is False

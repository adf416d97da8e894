"""Encoders of the paper's size by each TensorRT there is, beside PyTorch in fp16, at batch 32."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.gpu import paper
from benchmarks.gpu.section import NotRunError, finished, goal, needs_torch, part, tried
from benchmarks.gpu.timings import Work, graph, microseconds
from l2l_engine.gpu.device import View

if TYPE_CHECKING:
    from benchmarks.networks import Networks
    from l2l_engine.backends.tensorrt import Flavour

FLAVOURS: tuple[Flavour, ...] = ("tensorrt", "tensorrt_rtx")
BATCH = 32
PROFILE = (1, 32, 128)
EAGER, COMPILED = 2.0, 1.3
"""How many times faster than these an engine should be."""


def encoders(device: str = "cuda") -> dict[str, Any]:
    """Latency of each flavour and part; where none runs, PyTorch's figures stand alone, goals stay open."""
    torch, networks = needs_torch(), paper.networks()
    parts: dict[str, Any] = {}
    for name in ("image", "audio"):
        parts[name] = _part(torch, networks, name, device)
        part(name, parts[name])
    return judged(parts)


def judged(parts: dict[str, Any]) -> dict[str, Any]:
    """The section's record: the goals are those of every flavour that ran; without one they are open."""
    goals: list[dict[str, Any]] = []
    for flavour in FLAVOURS:
        made = [each["engines"].get(flavour, {}) for each in parts.values()]
        if any("goals" in each or each.get("reason", "").startswith("failed") for each in made):
            goals += [
                dict(one, what=f"{flavour}: {one['what']}") for each in made for one in each.get("goals", [])
            ]
            goals += [goal(f"{flavour}: all parts run", all("goals" in each for each in made))]
    if not goals:
        goals = [goal("an engine runs", None)]
    reasons = {e["reason"] for each in parts.values() for e in each["engines"].values() if "reason" in e}
    summary = "; ".join(_words(name, made) for name, made in parts.items())
    record = finished(goals, summary, parts=parts)
    return record | {"reason": "; ".join(sorted(reasons))} if reasons else record


def _words(name: str, made: dict[str, Any]) -> str:
    times = made["us"]
    if not times:
        return f"{name}: nothing ran"
    best = min(times, key=times.__getitem__)
    return f"{name} {times[best]:.0f} us by {best}"


def _part(torch: Any, networks: Networks, name: str, device: str) -> dict[str, Any]:
    from training.export.precisions import HalfEncoder  # noqa: PLC0415 - needs what exporting takes

    data = bytes(networks.plan.graphs[f"{name}.fp16"])
    network = HalfEncoder(copy.deepcopy(getattr(networks, name))).eval().to(device)
    rng = np.random.default_rng(0)
    if name == "image":
        batch = torch.from_numpy(rng.integers(0, 256, (BATCH, 112, 112, 3), np.uint8)).to(device)
    else:
        batch = torch.from_numpy(rng.standard_normal((BATCH, 16000)).astype(np.float32)).to(device)
    with torch.inference_mode():
        wanted = network(batch)
        works: dict[str, Work] = {"PyTorch eager": lambda: network(batch)}
        problems: dict[str, str] = {}
        _try(works, problems, "PyTorch in a graph", lambda: graph(torch, works["PyTorch eager"]))
        _try(works, problems, "torch.compile", lambda: _compiled(torch, network, batch))
        engines: dict[str, Any] = {}
        for flavour in FLAVOURS:
            try:
                works[flavour], features = _engine(torch, name, data, flavour, batch)
                works[flavour]()
                torch.cuda.synchronize()
                apart = float((features - wanted).abs().max() / wanted.abs().max())
                engines[flavour] = {"features apart": apart}
            except NotRunError as reason:
                engines[flavour] = {"reason": f"not run: {reason}"}
            except Exception as error:
                works.pop(flavour, None)
                engines[flavour] = {"reason": f"failed: {type(error).__name__}: {error}"}
        times = microseconds(torch, works)
    _judge(engines, times, problems)
    return {"us": times, "engines": engines, "problems": problems}


def _judge(engines: dict[str, Any], times: dict[str, float], problems: dict[str, str]) -> None:
    """Give each engine that ran its ratios to PyTorch and its goals; those of a failed peer stay open."""
    for name, made in engines.items():
        if name in times:
            ratios = {peer: times[peer] / times[name] for peer in times if peer != name}
            made["times faster"] = ratios
            made["goals"] = [
                goal("features apart", made["features apart"], at_most=0.02),
                goal("times PyTorch eager", ratios.get("PyTorch eager"), at_least=EAGER),
                goal("times torch.compile", ratios.get("torch.compile"), at_least=COMPILED),
            ]


def _try(works: dict[str, Work], problems: dict[str, str], name: str, make: Callable[[], Work]) -> None:
    made = tried(problems, name, make)
    if made is not None:
        works[name] = made


def _compiled(torch: Any, network: Any, batch: Any) -> Work:
    compiled = torch.compile(network)
    compiled(batch)
    return lambda: compiled(batch)


def _engine(torch: Any, part: str, data: bytes, flavour: Flavour, batch: Any) -> tuple[Work, Any]:
    """The engine's call on PyTorch's arrays and stream, and where its features go."""
    from l2l_engine.backends.tensorrt import TensorRTBuilder, load_library  # noqa: PLC0415
    from l2l_engine.backends.tensorrt_encoder import TensorRTEncoder  # noqa: PLC0415
    from l2l_engine.errors import DeviceError  # noqa: PLC0415

    dtype = np.uint8 if part == "image" else np.float32
    try:
        load_library(flavour)
        builder = TensorRTBuilder(flavour)
        engine = builder.build(f"{part}.fp16", data, dtype=dtype, batch=PROFILE)
        encoder = TensorRTEncoder(f"{flavour}.{part}", engine, dtype=dtype, flavour=flavour)
        worker = encoder.worker()
    except DeviceError as error:  # not there, or not for this GPU
        raise NotRunError(str(error)) from None
    features = torch.empty(BATCH, encoder.features, device="cuda")
    source = View(batch.data_ptr(), tuple(batch.shape), np.dtype(dtype), batch)
    target = View(features.data_ptr(), tuple(features.shape), np.dtype(np.float32), features)

    def work() -> None:
        worker.enqueue(source, target, torch.cuda.current_stream().cuda_stream)

    return work, features

"""Encoders of the paper's size by each TensorRT there is, beside PyTorch in fp16, at batch 32."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.gpu import paper
from benchmarks.gpu.section import NotRunError, needs_torch, status
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
    """Latency of each flavour and part; where none runs, that of PyTorch in a CUDA graph stands alone."""
    torch, networks = needs_torch(), paper.networks()
    parts = {part: _part(torch, networks, part, device) for part in ("image", "audio")}
    goals = f"{EAGER}x PyTorch eager, {COMPILED}x torch.compile; features close"
    summary = "; ".join(_words(part, made) for part, made in parts.items())
    return {"goals": goals, "parts": parts, "summary": summary, **verdict(parts)}


def verdict(parts: dict[str, Any]) -> dict[str, Any]:
    """Passed if nothing failed and a flavour passed in all parts; with the reason where it did not."""
    states = [{part["engines"][flavour]["status"] for part in parts.values()} for flavour in FLAVOURS]
    engines = [made for part in parts.values() for made in part["engines"].values()]
    reason = "; ".join(sorted({made["reason"] for made in engines if "reason" in made}))
    if any("failed" in some for some in states):
        return {"status": "failed", "reason": reason}
    return {"status": "passed"} if {"passed"} in states else {"status": "not run", "reason": reason}


def _words(part: str, made: dict[str, Any]) -> str:
    times = made["us"]
    best = min(times, key=times.__getitem__)
    return f"{part} {times[best]:.0f} us by {best}, PyTorch eager {times['PyTorch eager']:.0f}"


def _part(torch: Any, networks: Networks, part: str, device: str) -> dict[str, Any]:
    from training.export.precisions import HalfEncoder  # noqa: PLC0415 - needs what exporting takes

    data = bytes(networks.plan.graphs[f"{part}.fp16"])
    network = HalfEncoder(copy.deepcopy(getattr(networks, part))).eval().to(device)
    rng = np.random.default_rng(0)
    if part == "image":
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
                works[flavour], features = _engine(torch, part, data, flavour, batch)
                works[flavour]()
                torch.cuda.synchronize()
                apart = float((features - wanted).abs().max() / wanted.abs().max())
                engines[flavour] = {"features apart": apart}
            except NotRunError as reason:
                engines[flavour] = {"status": "not run", "reason": str(reason)}
            except Exception as error:
                works.pop(flavour, None)
                engines[flavour] = {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
        times = microseconds(torch, works)
    _judge(engines, times, problems)
    return {"us": times, "engines": engines, "problems": problems}


def _judge(engines: dict[str, Any], times: dict[str, float], problems: dict[str, str]) -> None:
    """Give each engine that ran its ratios to PyTorch, and say whether it passed."""
    for name, made in engines.items():
        if name in times:
            ratios = {peer: times[peer] / times[name] for peer in times if peer != name}
            good = made["features apart"] < 0.02 and ratios["PyTorch eager"] >= EAGER
            made |= {"status": status(good), "times faster": ratios}
            if "torch.compile" in ratios:
                made["status"] = status(good and ratios["torch.compile"] >= COMPILED)
            elif good:
                made |= {"status": "not run", "reason": f"torch.compile: {problems['torch.compile']}"}


def _try(works: dict[str, Work], problems: dict[str, str], name: str, make: Callable[[], Work]) -> None:
    try:
        works[name] = make()
    except Exception as error:
        problems[name] = f"{type(error).__name__}: {error}"[:500]


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

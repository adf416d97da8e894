"""Whole predictions on the GPU beside the CPU's on the same machine: what they say, how fast, what memory."""

from __future__ import annotations

import ctypes
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu import site
from benchmarks.gpu.section import NotRunError, status
from benchmarks.gpu.videos import long_video

AGREEING, CLOSE = 0.995, 2e-2
VIDEOS = 200
MANY = 2000
GROWTH_BYTES = 64 << 20
AGREEMENT_S, FLAT_S = 60.0, 40.0
"""Seconds after which these end with what they have."""


def predictions() -> dict[str, Any]:
    """Agreement, latency, throughput and memory, each with how much of it there was time for."""
    lacking = site.lacking()
    if lacking:
        raise NotRunError(f"not installed: {', '.join(lacking)}")
    from l2l_engine import Classifier  # noqa: PLC0415
    from l2l_engine.gpu import why_not  # noqa: PLC0415

    if (missing := why_not()) is not None:
        raise NotRunError(missing)
    with tempfile.TemporaryDirectory() as folder:
        plan = _paper_plan(Path(folder) / "paper.plan")
        with Classifier(plan, device="cuda") as gpu, Classifier(plan, device="cpu") as cpu:
            gpu.warmup()
            record = {"precision": {"gpu": gpu.precision, "cpu": cpu.precision}}
            record |= {"latency": _latency(gpu, cpu), "memory": _memory(gpu)}
    demo = site.ROOT / "demo" / "demo.plan"
    with Classifier(demo, device="cuda") as gpu, Classifier(demo, device="cpu", precision="fp32") as cpu:
        record["agreement"] = _agreement(gpu, cpu)
    agreement, memory = record["agreement"], record["memory"]
    good = agreement["share"] >= AGREEING and agreement["apart"] <= CLOSE
    good &= memory["growth"] <= GROWTH_BYTES
    short = record["latency"]["120 s 360p"]
    words = (
        f"{agreement['share']:.1%} of {agreement['videos']} agree; 120 s in {short['gpu']['p50 ms']:.0f} ms"
    )
    goals = f"{AGREEING:.1%} of labels as on the CPU, probabilities within {CLOSE}, memory flat"
    return {"status": status(good), "goals": goals, **record, "summary": words}


def _paper_plan(path: Path) -> Path:
    """Networks of the paper's size with random weights."""
    from l2l_engine.plan import write_plan  # noqa: PLC0415
    from tests.api.networks import resnet18  # noqa: PLC0415 - it needs onnx
    from tests.api.plans import DOCUMENT, random_skim  # noqa: PLC0415

    graphs = {
        f"{part}.{precision}": resnet18(part, precision)  # type: ignore[arg-type]
        for part in ("image", "audio")
        for precision in ("fp32", "fp16")
    }
    skim = random_skim(feature=512, fusion=1024, key=512, hidden=1024)
    document = replace(DOCUMENT, skim=replace(DOCUMENT.skim, steps=10), calibration=(1.0,) * 10)
    write_plan(path, document, graphs=graphs, skim=skim)
    return path


def _latency(gpu: Any, cpu: Any) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for name, seconds, size in (("120 s 360p", 120, (640, 360)), ("600 s 720p", 600, (1280, 720))):
        content = long_video(seconds, size)
        table[name] = {}
        for who, classifier, rounds in (("gpu", gpu, 15), ("cpu", cpu, 5)):
            classifier.predict(content)
            spent = []
            for _ in range(rounds):
                begin = time.perf_counter()
                answer = classifier.predict(content)
                spent.append(time.perf_counter() - begin)
            count, begin = 0, time.perf_counter()
            for _ in classifier.predict_many([content] * (24 if who == "gpu" else 8), workers=8):
                count += 1
            each = count / (time.perf_counter() - begin)
            p50 = 1e3 * float(np.median(spent))
            table[name][who] = {"p50 ms": p50, "videos/s": each, "decoder": answer.decoder}
    return table


def _memory(gpu: Any) -> dict[str, Any]:
    """Free memory of the device before and after many predictions."""
    content, end = long_video(20, (320, 180)), time.monotonic() + FLAT_S
    for _ in range(50):
        gpu.predict(content)
    before, count = _free_bytes(), 0
    while count < MANY and time.monotonic() < end:
        gpu.predict(content)
        count += 1
    return {"predictions": count, "growth": before - _free_bytes()}


def _free_bytes() -> int:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    failed = ctypes.CDLL("libcuda.so.1").cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
    if failed:
        import torch  # noqa: PLC0415 - this thread has no context of its own

        return int(torch.cuda.mem_get_info()[0])
    return free.value


def _agreement(gpu: Any, cpu: Any) -> dict[str, Any]:
    """Of the demo's videos, and of others made as they are needed."""
    files: list[Any] = sorted((site.ROOT / "demo").glob("*.mp4"))
    end, same, count, apart = time.monotonic() + AGREEMENT_S, 0, 0, 0.0
    while count < VIDEOS and time.monotonic() < end:
        file = files[count] if count < len(files) else long_video(20, (320, 180), seed=count)
        ours, theirs = gpu.predict(file), cpu.predict(file)
        same += ours.label == theirs.label
        apart = max(apart, float(np.abs(ours.probabilities - theirs.probabilities).max()))
        count += 1
    return {"videos": count, "share": same / count, "apart": apart}

"""From a file to a label, decoding included: the engine on the GPU beside itself on the CPU and PyTorch."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu import paper, site, whole
from benchmarks.gpu.section import needs_torch
from benchmarks.gpu.videos import long_video
from benchmarks.harness import Contestant, interleave, wall

SECONDS = 100.0
"""For both files; a contestant whose turn comes later is not run."""
GPU, CPU = "GPU", "CPU"
EAGER, DENSE = "PyTorch eager", "dense student"


@dataclass(frozen=True, slots=True)
class File:
    """A file, and how often each contestant gets it."""

    name: str
    seconds: int
    size: tuple[int, int]
    rounds: int
    rounds_of_peers: int
    videos: int
    """That the engine works on at a time for its throughput."""


FILES = (File("120 s 360p", 120, (640, 360), 9, 3, 24), File("10 min 720p", 600, (1280, 720), 5, 1, 8))


def pipelines(device: str = "cuda", files: tuple[File, ...] = FILES) -> dict[str, Any]:
    """Median latency and throughput of each contestant on each file, in turns, in one run."""
    site.require_predictions()
    torch, networks = needs_torch(), paper.networks()
    from benchmarks.peers.dense import DenseStudent  # noqa: PLC0415 - needs what exporting takes
    from benchmarks.peers.sparse import PlainSparse  # noqa: PLC0415
    from l2l_engine import Classifier  # noqa: PLC0415

    plan = networks.plan.path
    with whole.on_gpu(plan) as (gpu, how), Classifier(plan, device="cpu") as cpu:
        cpu.warmup()
        peers: dict[str, Callable[[Path], Any]] = {
            EAGER: PlainSparse(networks, device, torch.float16),
            DENSE: DenseStudent(networks, device, torch.float16),
        }
        record = raced(gpu, cpu, peers, files, time.monotonic() + SECONDS)
    return record | how | {"precision": {GPU: gpu.precision, CPU: cpu.precision, "peers": "fp16"}}


def raced(
    gpu: Any, cpu: Any, peers: dict[str, Callable[[Path], Any]], files: tuple[File, ...], end: float
) -> dict[str, Any]:
    """All contestants on all files until ``end``; what had no turn is named, and then nothing is passed."""
    table: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        path.write_bytes(long_video(8, files[0].size))
        for peer in peers.values():  # what a first call takes is not counted of anyone
            peer(path)
        for file in files:
            path.write_bytes(long_video(file.seconds, file.size))
            table[file.name] = _race(gpu, cpu, peers, file, path, end)
    absent = [f"{who} on {name}" for name, row in table.items() for who in row["not run"]]
    short = table[files[0].name]["p50 ms"]
    words = ", ".join(f"{who} {ms:.0f} ms" for who, ms in short.items())
    record = {"table": table, "summary": f"{files[0].name}: {words}"}
    agree = all(row["answers agree"] for row in table.values() if row["answers agree"] is not None)
    if not agree:
        return record | {"status": "failed", "reason": "PyTorch's answer is another one"}
    if absent:
        return record | {"status": "not run", "reason": f"out of time: {', '.join(absent)}"}
    return record | {"status": "passed"}


def _race(
    gpu: Any, cpu: Any, peers: dict[str, Callable[[Path], Any]], file: File, path: Path, end: float
) -> dict[str, Any]:
    # At every fifth timestamp, as the eager peer has it; and by default, which decodes less.
    contestants: dict[str, Contestant] = {}
    for who, engine in ((GPU, gpu), (CPU, cpu)):
        for name, sampling in ((who, "auto"), (f"{who}, same frames", "exact")):
            contestants[name] = wall(partial(engine.predict, path, sampling=sampling))
    for name, peer in peers.items():
        contestants[name] = wall(partial(peer, path), rounds=file.rounds_of_peers)
    samples = interleave({name: _until(end, each) for name, each in contestants.items()}, file.rounds)
    timed = {name: [s for s in some if np.isfinite(s)] for name, some in samples.items()}
    medians = {name: statistics.median(some) for name, some in timed.items() if some}
    rates = {name: 1 / seconds for name, seconds in medians.items()}
    for who, engine in ((GPU, gpu), (CPU, cpu)):
        if time.monotonic() < end:
            rates[f"{who}, {file.videos} at a time"] = _many(engine, path, file.videos)
    return {
        "p50 ms": {name: 1e3 * seconds for name, seconds in medians.items()},
        "videos/s": rates,
        "times faster": {name: seconds / medians[GPU] for name, seconds in medians.items() if name != GPU},
        "decoder": gpu.predict(path).decoder,
        "answers agree": _agrees(gpu, peers, path) if EAGER in medians else None,
        "not run": [name for name in contestants if name not in medians],
    }


def _until(end: float, contestant: Contestant) -> Contestant:
    """The same, but nothing is done once the time is over."""

    def seconds() -> float:
        return contestant.seconds() if time.monotonic() < end else float("nan")

    return Contestant(seconds, contestant.rounds)


def _many(engine: Any, path: Path, count: int) -> float:
    """Videos a second, several in work at once."""
    begin = time.perf_counter()
    for _ in engine.predict_many([path] * count, workers=8):
        pass
    return count / (time.perf_counter() - begin)


def _agrees(gpu: Any, peers: dict[str, Callable[[Path], Any]], path: Path) -> bool:
    """The peer has the same weights and looks at the same frames, so that only rounding sets them apart."""
    theirs = peers[EAGER](path).softmax(0).numpy()
    ours = gpu.predict(path, sampling="exact").probabilities
    return bool(np.abs(theirs - ours).max() < 0.1)

"""From a file to a label, decoding included: the engine on the GPU beside itself on the CPU and PyTorch."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu import paper, site, whole
from benchmarks.gpu.section import finished, goal, needs_torch, part, tried
from benchmarks.gpu.videos import long_video
from benchmarks.harness import Contestant, interleave, wall

SECONDS = 100.0
"""For both files; a contestant whose turn comes later is not run."""
GPU, CPU = "GPU", "CPU"
EAGER, DENSE = "PyTorch eager", "dense student"
Peer = Callable[[Path], Any]


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
    torch, plan = needs_torch(), paper.plan_path()
    problems: dict[str, str] = {}
    with whole.on_gpu(plan) as (gpu, how), ExitStack() as stack:
        cpu = tried(problems, CPU, lambda: stack.enter_context(_on_cpu(plan)))
        peers = _peers(torch, device, problems)
        engines = {GPU: gpu} if cpu is None else {GPU: gpu, CPU: cpu}
        record = raced(engines, peers, files, time.monotonic() + SECONDS, problems)
        precision = {who: engine.precision for who, engine in engines.items()} | {"peers": "fp16"}
    return record | how | {"precision": precision}


def _on_cpu(plan: Path) -> Any:
    """The engine on the CPU, which takes OpenVINO."""
    from l2l_engine import Classifier  # noqa: PLC0415 - where it comes from is settled by now

    made = Classifier(plan, device="cpu")
    made.warmup()
    return made


def _peers(torch: Any, device: str, problems: dict[str, str]) -> dict[str, Peer]:
    """Those that can be made here."""

    def eager() -> Peer:
        from benchmarks.peers.sparse import PlainSparse  # noqa: PLC0415 - needs what exporting takes

        return PlainSparse(paper.networks(), device, torch.float16)

    def dense() -> Peer:
        from benchmarks.peers.dense import DenseStudent  # noqa: PLC0415 - likewise

        return DenseStudent(paper.networks(), device, torch.float16)

    made = {name: tried(problems, name, make) for name, make in ((EAGER, eager), (DENSE, dense))}
    return {name: peer for name, peer in made.items() if peer is not None}


def raced(
    engines: dict[str, Any],
    peers: dict[str, Peer],
    files: tuple[File, ...],
    end: float,
    problems: dict[str, str] | None = None,
) -> dict[str, Any]:
    """All contestants on all files until ``end``; who failed or had no turn is named: goals open."""
    problems = {} if problems is None else problems
    table: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        path.write_bytes(long_video(8, files[0].size))
        for name in list(peers):  # what a first call takes is not counted of anyone
            if tried(problems, name, partial(peers[name], path)) is None:
                del peers[name]
        for file in files:
            path.write_bytes(long_video(file.seconds, file.size))
            table[file.name] = _race(engines, peers, file, path, end)
            part(file.name, table[file.name])
    absent = [f"{who} on {name}" for name, row in table.items() for who in row["not run"]]
    short = table[files[0].name]["p50 ms"]
    goals = [
        goal("PyTorch's answers are ours", _whether(row["answers agree"] for row in table.values())),
        goal("everyone ran on every file", None if absent or problems else True),
    ]
    words = ", ".join(f"{who} {ms:.0f} ms" for who, ms in short.items())
    record = finished(goals, f"{files[0].name}: {words}", table=table, problems=problems)
    return record | {"reason": f"out of time: {', '.join(absent)}"} if absent else record


def _whether(states: Iterable[bool | None]) -> bool | None:
    """False if any is, else None if any is not known."""
    known = list(states)
    return False if False in known else None if None in known else True


def _race(
    engines: dict[str, Any], peers: dict[str, Peer], file: File, path: Path, end: float
) -> dict[str, Any]:
    # At every fifth timestamp, as the eager peer has it; and by default, which decodes less.
    contestants: dict[str, Contestant] = {}
    for who, engine in engines.items():
        for name, sampling in ((who, "auto"), (f"{who}, same frames", "exact")):
            contestants[name] = wall(partial(engine.predict, path, sampling=sampling))
    for name, peer in peers.items():
        contestants[name] = wall(partial(peer, path), rounds=file.rounds_of_peers)
    samples = interleave({name: _until(end, each) for name, each in contestants.items()}, file.rounds)
    timed = {name: [s for s in some if np.isfinite(s)] for name, some in samples.items()}
    medians = {name: statistics.median(some) for name, some in timed.items() if some}
    rates = {name: 1 / seconds for name, seconds in medians.items()}
    for who, engine in engines.items():
        if time.monotonic() < end:
            rates[f"{who}, {file.videos} at a time"] = _many(engine, path, file.videos)
    ours = medians.get(GPU)
    return {
        "p50 ms": {name: 1e3 * seconds for name, seconds in medians.items()},
        "videos/s": rates,
        "times faster": {name: s / ours for name, s in medians.items() if ours and name != GPU},
        "decoder": engines[GPU].predict(path).decoder,
        "answers agree": _agrees(engines[GPU], peers, path) if EAGER in medians else None,
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


def _agrees(gpu: Any, peers: dict[str, Peer], path: Path) -> bool:
    """The peer has the same weights and looks at the same frames, so that only rounding sets them apart."""
    theirs = peers[EAGER](path).softmax(0).numpy()
    ours = gpu.predict(path, sampling="exact").probabilities
    return bool(np.abs(theirs - ours).max() < 0.1)

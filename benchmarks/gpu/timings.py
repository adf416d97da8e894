"""How long the kernels take, by CUDA events, beside PyTorch on the same device, in turns."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu.section import finished, goal, needs_torch, part, tried
from l2l_engine.cuda import CudaSkimmer, interpolate
from l2l_engine.errors import DeviceError

sys.path.append(str(Path(__file__).parents[2] / "tests" / "kernels"))  # the cases
STEPS = 10
ROUNDS, CALLS = 30, 20
PHASE_RUNS = 20
OURS_IN_A_GRAPH, EAGER, EAGER_IN_A_GRAPH = "ours in a graph", "PyTorch eager", "PyTorch in a graph"
Work = Callable[[], object]
Inputs = tuple[Any, Any, Any, Any, Any]
"""Both banks, the times of their knots, and the timestamps, on the device."""


def microseconds(torch: Any, works: dict[str, Work]) -> dict[str, float]:
    """The median over rounds of one call's time, each round timing all in turn."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        for _ in range(3):
            work()
        torch.cuda.synchronize()
    for _ in range(ROUNDS):
        for name, work in works.items():
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            for _ in range(CALLS):
                work()
            end.record()
            end.synchronize()
            times[name].append(start.elapsed_time(end) / CALLS * 1e3)
    return {name: float(np.median(values)) for name, values in times.items()}


def graph(torch: Any, work: Work) -> Work:
    """The same work, captured once."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    captured = torch.cuda.CUDAGraph()
    # Of this thread alone: others may allocate meanwhile.
    with torch.cuda.graph(captured, capture_error_mode="thread_local"):
        work()
    replay: Work = captured.replay
    return replay


def _inputs(torch: Any, batch: int, moments: int, dtype: Any) -> Inputs:
    rng = np.random.default_rng(1)
    timestamps = np.tile(np.arange(moments) * (16 / 30), (batch, 1))
    knots = np.ascontiguousarray(timestamps[:, ::5])
    image, audio = (
        torch.from_numpy(rng.standard_normal((*knots.shape, 512)).astype(np.float32)).cuda().to(dtype)
        for _ in range(2)
    )
    image_times, audio_times, axis = (torch.from_numpy(x).cuda() for x in (knots, knots, timestamps))
    return image, audio, image_times, audio_times, axis


def paper_weights() -> Any:
    """Random weights of the paper's sizes."""
    from skim_cases import Dims, random_weights  # noqa: PLC0415

    return random_weights(np.random.default_rng(0), Dims(512, 1024, 1024, 512, 400))


def _ours(torch: Any, skimmer: CudaSkimmer, inputs: Inputs) -> tuple[Work, Any]:
    batch, moments = inputs[4].shape
    space = skimmer.space(batch, moments, inputs[0].shape[1], inputs[1].shape[1], STEPS)

    def work() -> object:
        return skimmer.run(*inputs, STEPS, space=space, stream=torch.cuda.current_stream())

    return work, space


def _plain(weights: Any, inputs: Inputs) -> Work:
    """The peer in the dtype of its inputs."""
    from benchmarks.kernels.plain_torch import PlainSkimmer  # noqa: PLC0415

    module = PlainSkimmer(weights).cuda().to(inputs[0].dtype)
    return lambda: module(*inputs, STEPS)


def skimmer() -> dict[str, Any]:
    """B=1 N=205 T=10 in fp16, phase by phase, and against PyTorch, eager and in a CUDA graph."""
    torch = needs_torch()
    weights, inputs = paper_weights(), _inputs(torch, 1, 205, torch.float16)
    made = CudaSkimmer(weights, precision="fp16")
    ours, space = _ours(torch, made, inputs)
    works: dict[str, Work] = {"ours": ours}
    part("us", microseconds(torch, works))
    problems: dict[str, str] = {}
    _add(works, problems, OURS_IN_A_GRAPH, lambda: graph(torch, ours))
    part("us", microseconds(torch, works))
    found = phases(made, inputs)
    part("phases", found)
    _add(works, problems, EAGER, lambda: _ran(torch, _plain(weights, inputs)))
    _add(works, problems, EAGER_IN_A_GRAPH, lambda: graph(torch, works[EAGER]))
    ours()
    distance = None
    if EAGER in works:
        wanted = torch.as_tensor(works[EAGER]()).float()
        distance = float((torch.from_dlpack(space.result.logits) - wanted).abs().max())
    times = microseconds(torch, works)
    return judged(times, distance, phases=found, problems=problems)


def judged(times: dict[str, float], distance: float | None, **figures: Any) -> dict[str, Any]:
    """The skimmer's record. A peer that is not there leaves its goal open and our figures be."""
    best = min(times[name] for name in ("ours", OURS_IN_A_GRAPH) if name in times)
    ratios = {name: times[name] / best for name in (EAGER, EAGER_IN_A_GRAPH) if name in times}
    goals = [
        goal("us", best, at_most=100),
        goal("times PyTorch eager", ratios.get(EAGER), at_least=10),
        goal("times PyTorch in a graph", ratios.get(EAGER_IN_A_GRAPH), at_least=3),
        goal("logits apart", distance, at_most=0.1),
    ]
    words = ", ".join([f"{best:.0f} us", *(f"{ratio:.1f}x {name}" for name, ratio in ratios.items())])
    return finished(goals, words, us=times, **{"times faster": ratios}, **figures)


def phases(made: CudaSkimmer, inputs: Inputs) -> dict[str, Any] | str:
    """Mean microseconds of a run by phase, over several: in it, and in the barriers before it; or why not."""
    measure = getattr(made, "phase_times", None)
    if measure is None:
        return "not built with timers"
    summed: dict[str, dict[str, float]] = {}
    try:
        for turn in range(-1, PHASE_RUNS):
            for one in measure(*inputs, STEPS):
                if turn >= 0:
                    row = summed.setdefault(one.phase, {"worked us": 0.0, "waited us": 0.0, "times": 0.0})
                    for key, value in (
                        ("worked us", one.worked_us),
                        ("waited us", one.waited_us),
                        ("times", 1.0),
                    ):
                        row[key] += value / PHASE_RUNS
    except DeviceError as error:
        return f"not built with timers: {error}"
    return summed


def _add(works: dict[str, Work], problems: dict[str, str], name: str, make: Callable[[], Work]) -> None:
    made = tried(problems, name, make)
    if made is not None:
        works[name] = made


def _ran(torch: Any, work: Work) -> Work:
    """The same, once it has been seen to run."""
    work()
    torch.cuda.synchronize()
    return work


def ways() -> dict[str, Any]:
    """Each way of launching at several sizes: what "auto" should choose. To pass, all have to agree."""
    torch, weights = needs_torch(), paper_weights()
    table: dict[str, Any] = {}
    for batch, moments in ((1, 205), (1, 1050), (1, 6300), (4, 205), (8, 205), (32, 1050)):
        inputs = _inputs(torch, batch, moments, torch.float16)
        works, logits = {}, {}
        for launches in ("one", "many"):
            for project in (True, False):
                if project and batch * moments > 8 * 1050:
                    continue
                name = f"{launches}{' projected' if project else ''}"
                made = CudaSkimmer(weights, precision="fp16", launches=launches, project=project)
                works[name], space = _ours(torch, made, inputs)
                works[name]()
                logits[name] = space.result.numpy().logits
        times = microseconds(torch, works)
        apart = max(float(np.abs(x - next(iter(logits.values()))).max()) for x in logits.values())
        row = {"us": times, "fastest": min(times, key=times.__getitem__), "logits apart": apart}
        table[f"B={batch} N={moments}"] = row
        part(f"B={batch} N={moments}", row)
    goals = [goal(f"logits apart, {name}", row["logits apart"], at_most=0.1) for name, row in table.items()]
    return finished(goals, "; ".join(f"{name} {row['fastest']}" for name, row in table.items()), table=table)


def interpolation() -> dict[str, Any]:
    """B=512 against the bandwidth of a copy of the output."""
    torch = needs_torch()
    batch, moments, knots, size = 512, 1050, 210, 512
    timestamps = torch.arange(moments, dtype=torch.float64).cuda().repeat(batch, 1) * (16 / 30)
    knot_times = timestamps[:, ::5].contiguous()
    bank = torch.randn(batch, knots, size).cuda()
    out, copy = (torch.empty(batch, moments, size).cuda() for _ in range(2))
    works: dict[str, Work] = {
        "ours": lambda: interpolate(
            bank, knot_times, timestamps, out=out, stream=torch.cuda.current_stream()
        ),
        "copy": lambda: copy.copy_(out),
    }
    times = microseconds(torch, works)
    written = out.numel() * 4
    ours = (written + bank.numel() * 4) / times["ours"] / 1e3
    copied = 2 * written / times["copy"] / 1e3
    goals = [goal("share of a copy's bandwidth", ours / copied, at_least=0.8)]
    words = f"{ours:.0f} GB/s, a copy {copied:.0f}"
    return finished(goals, words, us=times, **{"GB/s": {"ours": ours, "copy": copied}})

"""Two seconds of everything at once: cooperative launches on many streams, and copies between them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.section import finished, goal, part
from benchmarks.gpu.timings import STEPS, paper_weights
from l2l_engine.cuda import CudaSkimmer
from l2l_engine.errors import L2LError
from l2l_engine.gpu.device import Device
from l2l_engine.gpu.kernels import OwnStream

STREAMS, SECONDS = 8, 2.0
COPIED_BYTES = 4 << 20
Video = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]
"""Both banks, the times of their knots, and the timestamps, on the host."""


def stress() -> dict[str, Any]:
    """Eight streams, each with a video of another length."""
    from l2l_engine.gpu.driver import CudaDevice  # noqa: PLC0415 - of a GPU alone

    skimmer = CudaSkimmer(paper_weights(), precision="fp16", launches="one")
    videos = [made(np.random.default_rng(lane), 105 + 40 * lane, 512) for lane in range(STREAMS)]
    return stressed(CudaDevice(), skimmer, videos, SECONDS)


def made(rng: np.random.Generator, moments: int, size: int) -> Video:
    """A video of random features with a knot at every fifth timestamp."""
    timestamps = np.arange(moments)[None] * (16 / 30)
    knots = np.ascontiguousarray(timestamps[:, ::5])
    image, audio = (rng.standard_normal((1, knots.shape[1], size)).astype(np.float32) for _ in range(2))
    return image, audio, knots, knots, timestamps


def stressed(device: Device, skimmer: CudaSkimmer, videos: Sequence[Video], seconds: float) -> dict[str, Any]:
    """One thread and one stream a video until the time is over; each answer has to be that of a calm run."""
    calm = [skimmer.run(*video, STEPS).numpy().logits for video in videos]
    part("calm runs", len(calm))
    end = time.monotonic() + seconds
    with ThreadPoolExecutor(len(videos)) as pool:
        lanes = [pool.submit(_lane, device, skimmer, *both, end) for both in zip(videos, calm, strict=True)]
    runs, faults = (list(column) for column in zip(*(lane.result() for lane in lanes), strict=True))
    wrong = [fault for fault in faults if fault is not None]
    goals = [
        goal("every answer is that of a calm run, to the bit, and every copy arrives", not wrong),
        goal("runs on the stream that had fewest", min(runs), at_least=1),
    ]
    record = finished(goals, f"{sum(runs)} runs on {len(videos)} streams", runs=runs, seconds=seconds)
    return record | {"reason": "; ".join(wrong)} if wrong else record


def _lane(
    device: Device, skimmer: CudaSkimmer, video: Video, calm: NDArray[Any], end: float
) -> tuple[int, str | None]:
    """Runs that came to an end, and what was wrong with the last of them."""
    stream, runs = OwnStream(device), 0
    sent, back = device.pin(COPIED_BYTES), device.pin(COPIED_BYTES)
    there, beside = device.allocate(COPIED_BYTES), device.allocate(COPIED_BYTES)
    done = device.event()
    fault: str | None = None
    try:
        while fault is None and (runs == 0 or time.monotonic() < end):
            sent.array[:] = runs % 251
            device.upload(there.pointer, sent.pointer, COPIED_BYTES, stream.handle)
            result = skimmer.run(*video, STEPS, stream=stream)
            device.copy(beside.pointer, there.pointer, COPIED_BYTES, stream.handle)
            device.download(back.pointer, beside.pointer, COPIED_BYTES, stream.handle)
            device.record(done, stream.handle)
            device.synchronize(done)
            if not np.array_equal(result.numpy().logits, calm):
                fault = f"run {runs} of {calm.shape} answers otherwise"
            elif not (back.array == runs % 251).all():
                fault = f"the copy of run {runs} did not arrive"
            runs += fault is None
    except L2LError as error:
        return runs, f"{type(error).__name__}: {error}"
    for block in (sent, back, there, beside):
        block.free()
    device.end_event(done)
    return runs, fault

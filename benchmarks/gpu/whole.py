"""Whole predictions on the GPU: whether they say what the CPU's do, and whether their memory stays flat."""

from __future__ import annotations

import ctypes
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu import paper, site
from benchmarks.gpu.section import NotRunError, status
from benchmarks.gpu.videos import long_video

AGREEING, CLOSE = 0.995, 2e-2
VIDEOS, FEW = 200, 40
MANY = 2000
GROWTH_BYTES = 64 << 20
WORKERS = 8
AGREEMENT_S, FLAT_S = 50.0, 40.0
"""Seconds after which these end with what they have, which is not enough then."""


@contextmanager
def on_gpu(plan: Any) -> Iterator[tuple[Any, dict[str, str]]]:
    """Yield a Classifier on the GPU, and how it encodes: by TensorRT, or else in PyTorch, and why.

    Raises:
        NotRunError: It lacks more than TensorRT.
    """
    site.require_predictions()
    from benchmarks.gpu.replay import replayed_networks  # noqa: PLC0415 - it needs the whole package
    from benchmarks.gpu.section import needs_torch  # noqa: PLC0415
    from l2l_engine import Classifier, DeviceError, PlanError  # noqa: PLC0415

    encoders = {"encoders": "TensorRT"}
    try:
        made = Classifier(plan, device="cuda")
    except (DeviceError, PlanError) as error:
        encoders = {"encoders": "PyTorch in CUDA graphs", "because": str(error)}
        torch = needs_torch()
        try:
            with replayed_networks(torch):
                made = Classifier(plan, device="cuda")
        except DeviceError as more:
            raise NotRunError(str(more)) from None
    with made:
        made.warmup()
        yield made, encoders | {"precision": made.precision}


def agreement() -> dict[str, Any]:
    """Compare labels of the demo's plan on demo and generated videos; logits of the paper's size in fp16."""
    site.require_predictions()
    from l2l_engine import Classifier  # noqa: PLC0415

    demo = site.ROOT / "demo" / "demo.plan"
    files: list[Any] = sorted((site.ROOT / "demo").glob("*.mp4"))
    files += [lambda seed=seed: long_video(24, (320, 180), seed=seed) for seed in range(VIDEOS - len(files))]
    end = time.monotonic() + AGREEMENT_S
    with Classifier(demo, device="cpu", precision="fp32") as cpu, on_gpu(demo) as (gpu, how):
        labels = compared(gpu, cpu, files, end - AGREEMENT_S / 3) | how
    plan = paper.networks().plan.path
    with Classifier(plan, device="cpu", precision="fp32") as cpu, on_gpu(plan) as (gpu, how):
        logits = compared(gpu, cpu, files[:FEW], end) | how
    return agreed(labels, logits)


def agreed(labels: dict[str, Any], logits: dict[str, Any]) -> dict[str, Any]:
    """Return the section's record; passed only if all videos were compared."""
    words = f"{labels['share']:.1%} of {labels['videos']} labels, logits {logits['apart']:.2g} apart"
    record = {
        "goals": f"{AGREEING:.1%} of {VIDEOS} labels as on the CPU; logits in fp16 within {CLOSE}",
        "labels": labels,
        "logits": logits,
        "summary": words,
    }
    good = labels["share"] >= AGREEING and logits["apart"] <= CLOSE
    if good and (labels["videos"] < VIDEOS or logits["videos"] < FEW):
        few = f"only {labels['videos']} of {VIDEOS} and {logits['videos']} of {FEW} videos in time"
        return record | {"status": "not run", "reason": few}
    return record | {"status": status(good)}


def compared(gpu: Any, cpu: Any, files: list[Any], end: float) -> dict[str, Any]:
    """Return how many labels are the same until ``end``, and the largest difference of logits.

    "apart" is a share of the video's largest logit where that is more than 1, as rounding is; "apart in all"
    is not.
    """
    same, count, apart, absolute = 0, 0, 0.0, 0.0
    while count < len(files) and time.monotonic() < end:
        some = [file() if callable(file) else file for file in files[count : count + WORKERS]]
        both = (each.predict_many(some, workers=WORKERS) for each in (gpu, cpu))
        for ours, theirs in zip(*both, strict=True):
            got, expected = _logits(ours, gpu), _logits(theirs, cpu)
            same += ours.label == theirs.label
            absolute = max(absolute, float(np.abs(got - expected).max()))
            apart = max(apart, float(np.abs(got - expected).max() / max(1.0, np.abs(expected).max())))
        count += len(some)
    return {"videos": count, "share": same / max(1, count), "apart": apart, "apart in all": absolute}


def _logits(answer: Any, classifier: Any) -> NDArray[np.float64]:
    """Return the logits up to what softmax does not see: their mean is 0."""
    document = classifier.plan.document
    scores = np.log(np.maximum(answer.probabilities.astype(np.float64), 1e-30))
    return document.temperature(document.skim.steps) * (scores - scores.mean())


def memory() -> dict[str, Any]:
    """Compare the device's free memory before and after many predictions, several at a time."""
    content = long_video(24, (320, 180))
    with on_gpu(paper.networks().plan.path) as (gpu, how):
        for _ in gpu.predict_many([content] * 100, workers=WORKERS):
            pass
        before, end = free_bytes(), time.monotonic() + FLAT_S
        answers = gpu.predict_many(itertools.repeat(content, MANY), workers=WORKERS)
        count = sum(1 for _ in itertools.takewhile(lambda _: time.monotonic() < end, answers))
        return flat(count, before - free_bytes()) | how


def flat(count: int, growth: int) -> dict[str, Any]:
    """Return the section's record; passed only after all predictions."""
    record = {
        "goals": f"{MANY} predictions, at most {GROWTH_BYTES >> 20} MiB more",
        "predictions": count,
        "growth": growth,
        "summary": f"{growth / 2**20:+.0f} MiB after {count} predictions",
    }
    if growth <= GROWTH_BYTES and count < MANY:
        return record | {"status": "not run", "reason": f"only {count} predictions in {FLAT_S:.0f} s"}
    return record | {"status": status(growth <= GROWTH_BYTES)}


def free_bytes() -> int:
    """Return the device's free memory, by its driver."""
    from l2l_engine.gpu.driver import CudaDevice  # noqa: PLC0415

    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    with CudaDevice().use():  # this thread need not have a context of its own
        failed = ctypes.CDLL("libcuda.so.1").cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
    if failed:
        raise RuntimeError(f"cuMemGetInfo gave {failed}")
    return free.value

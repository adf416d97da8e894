"""Whole predictions on the GPU: whether they say what the CPU's do, and whether their memory stays flat."""

from __future__ import annotations

import ctypes
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu import answers, paper, site
from benchmarks.gpu.section import NotRunError, finished, goal, part
from benchmarks.gpu.videos import long_video

AGREEING, CLOSE = 0.995, 2e-2
MANY = 2000
GROWTH_BYTES = 64 << 20
WORKERS = 8
AGREEMENT_S, FLAT_S = 50.0, 40.0
"""Seconds after which these end with what they have, which is not enough then."""


@contextmanager
def on_gpu(plan: Any) -> Iterator[tuple[Any, dict[str, str]]]:
    """A Classifier on the GPU, and how it encodes: by TensorRT, or else in PyTorch, with the reason.

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
    """Labels of the demo's plan, logits of the paper's size in fp16, beside the CPU's of the same videos."""
    site.require_predictions()
    end = time.monotonic() + AGREEMENT_S
    found: dict[str, dict[str, Any]] = {}
    sets: tuple[tuple[str, Callable[[], Path], float], ...] = (
        (answers.DEMO_SET, lambda: answers.DEMO, end - AGREEMENT_S / 3),
        (answers.PAPER_SET, paper.plan_path, end),
    )
    problems: dict[str, str] = {}
    for name, plan, until in sets:
        try:
            with on_gpu(plan()) as (gpu, how):
                found[name] = compared(gpu, answers.load(answers.PATH, name, gpu.plan), until) | how
                part(name, found[name])
        except NotRunError as reason:
            problems[name] = str(reason)
    if not found:
        raise NotRunError("; ".join(dict.fromkeys(problems.values())))
    return agreed(found.get(answers.DEMO_SET), found.get(answers.PAPER_SET), problems)


def agreed(
    labels: dict[str, Any] | None, logits: dict[str, Any] | None, problems: dict[str, str] | None = None
) -> dict[str, Any]:
    """The section's record. With fewer videos than are meant, a goal that is not missed stays open."""

    def share(found: dict[str, Any] | None, key: str, least: int) -> dict[str, Any]:
        limits = {"at_least": AGREEING} if key == "share" else {"at_most": CLOSE}
        made = goal(f"{key} of {least} videos", None if found is None else found[key], **limits)
        if found is not None and found["videos"] < least and made["met"]:
            made |= {"met": None, "only": found["videos"]}
        return made

    goals = [share(labels, "share", answers.VIDEOS), share(logits, "apart", answers.FEW)]
    words = [f"{labels['share']:.1%} of {labels['videos']} labels"] if labels else []
    words += [f"logits {logits['apart']:.2g} apart in {logits['videos']} videos"] if logits else []
    return finished(goals, ", ".join(words), labels=labels, logits=logits, problems=problems or {})


def compared(gpu: Any, expected: answers.Answers, end: float) -> dict[str, Any]:
    """How many labels are the same until ``end``, and the largest difference of logits.

    "apart" is a share of the video's largest logit where that is more than 1, as rounding is; "apart in all"
    is not. "same bytes" counts the videos that are to the bit those that the CPU was asked about: another
    processor, or FFmpeg, may encode them a little differently.
    """
    same, count, bytes_too, apart, absolute = 0, 0, 0, 0.0, 0.0
    for some in answers.batches(len(expected.videos)):
        if time.monotonic() >= end:
            break
        for ours, theirs in zip(answers.ask(gpu, some, WORKERS), expected.videos[count:], strict=False):
            got, wanted = np.array(ours.logits), np.array(theirs.logits)
            same += ours.label == theirs.label
            bytes_too += ours.video == theirs.video
            absolute = max(absolute, float(np.abs(got - wanted).max()))
            apart = max(apart, float(np.abs(got - wanted).max() / max(1.0, np.abs(wanted).max())))
        count += len(some)
    return {
        "videos": count,
        "share": same / max(1, count),
        "apart": apart,
        "apart in all": absolute,
        "same bytes": bytes_too,
    }


def memory() -> dict[str, Any]:
    """Free memory of the device before and after many predictions, several at a time."""
    content = long_video(24, (320, 180))
    with on_gpu(paper.plan_path()) as (gpu, how):
        for _ in gpu.predict_many([content] * 100, workers=WORKERS):
            pass
        before, end = free_bytes(), time.monotonic() + FLAT_S
        answers = gpu.predict_many(itertools.repeat(content, MANY), workers=WORKERS)
        count = sum(1 for _ in itertools.takewhile(lambda _: time.monotonic() < end, answers))
        return flat(count, before - free_bytes()) | how


def flat(count: int, growth: int) -> dict[str, Any]:
    """The section's record; with fewer predictions than are meant, a goal that is not missed stays open."""
    grown = goal(f"bytes more after {MANY} predictions", growth, at_most=GROWTH_BYTES)
    if count < MANY and grown["met"]:
        grown |= {"met": None, "only": count}
    words = f"{growth / 2**20:+.0f} MiB after {count} predictions"
    return finished([grown], words, predictions=count, growth=growth)


def free_bytes() -> int:
    """Of the device, by its driver."""
    from l2l_engine.gpu.driver import CudaDevice  # noqa: PLC0415

    CudaDevice().use()  # this thread need not have a context of its own
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    failed = ctypes.CDLL("libcuda.so.1").cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
    if failed:
        raise RuntimeError(f"cuMemGetInfo gave {failed}")
    return free.value

"""What a call asks for, checked against the plan and the limits it is asked of."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from l2l_engine import arguments
from l2l_engine._arrays import is_on_device
from l2l_engine.cuda.arrays import rows_of
from l2l_engine.cuda.bank import DeviceBank
from l2l_engine.media import Limits
from l2l_engine.plan import MAX_STEPS, Plan, PlanDocument
from l2l_engine.run.session import Bank


def seconds_allowed(timeout_s: float | None, limits: Limits) -> float | None:
    """What the call asks for, or the service's limit if that is less; None without either."""
    if timeout_s is None:
        return limits.wall_clock_s
    seconds = arguments.positive_seconds("timeout_s", timeout_s)
    return seconds if limits.wall_clock_s is None else min(seconds, limits.wall_clock_s)


def steps(value: int | None, document: PlanDocument) -> int:
    """Steps T; the plan's by default."""
    if value is None:
        return document.skim.steps
    if arguments.positive("steps", value) > MAX_STEPS:
        raise ValueError(f"steps must be at most {MAX_STEPS}, not {value}")
    if document.skim.preset == "clip" and value > 1:
        raise ValueError(f"steps must be 1 or left out, not {value}: this plan averages all pairs of a video")
    return value


def image_gap(value: float | None, document: PlanDocument) -> float:
    """Largest gap between frames in seconds; the plan's by default."""
    if value is not None:
        return arguments.positive_seconds("max_image_gap_s", value)
    return min(document.sampling.factor * document.media.hop, document.sampling.max_image_gap_s)


def bank(
    modality: str, rows: ArrayLike | None, times: ArrayLike | None, plan: Plan, *, device: str = "cpu"
) -> Bank | DeviceBank | None:
    """Features handed in: rows [M, D], and times [M] that are row index x hop by default.

    On a GPU rows that are there stay there, and are checked where they are used.
    """
    if rows is None:
        if times is not None:
            raise ValueError(f"{modality}_times is given without {modality}_bank")
        return None
    if modality not in plan.document.modalities:
        raise ValueError(f"{modality}_bank is given, but the plan knows no {modality}")
    there = is_on_device(rows)
    if there and device != "cuda":
        raise TypeError(f"{modality}_bank is in memory of a GPU, and this Classifier is on the {device}")
    features = rows if there else arguments.features(f"{modality}_bank", rows, plan.dimensions.feature)
    count = rows_of(f"{modality}_bank", features)
    if times is None:
        seconds = np.arange(count, dtype=np.float64) * plan.document.media.hop
    else:
        seconds = arguments.times(f"{modality}_times", times)
    if len(seconds) != count:
        raise ValueError(f"{modality}_times has {len(seconds)} entries for {count} rows")
    return DeviceBank(features, seconds) if there else Bank(np.asarray(features), seconds)

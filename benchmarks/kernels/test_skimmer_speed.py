"""The skimmer at the paper's size against the plain PyTorch module, and against reading the weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.conftest import THREADS, Against
from benchmarks.kernels.plain_torch import PlainSkimmer
from l2l_engine.plan import Dimensions, PlanDocument, SkimSettings
from l2l_engine.skim import Precision, Skimmer
from training.export.untrained import random_skim

PAPER = Dimensions(feature=512, fusion=1024, key=512, hidden=1024, classes=400)
STEPS = 10
Times = NDArray[np.float64]
Weights = Mapping[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def weights() -> Weights:
    return random_skim(PlanDocument(classes=tuple(map(str, range(PAPER.classes)))), PAPER)


def banks(batch: int, moments: int) -> tuple[NDArray[np.float32], NDArray[np.float32], Times, Times, Times]:
    """Both banks, the times of their knots, and the timestamps."""
    rng = np.random.default_rng(1)
    knots = moments // 5
    timestamps = np.tile(np.arange(moments) * (16 / 30), (batch, 1))
    times = np.ascontiguousarray(timestamps[:, : 5 * knots : 5])
    image, audio = (rng.standard_normal((batch, knots, PAPER.feature)).astype(np.float32) for _ in range(2))
    return image, audio, times, times, timestamps


def folded_sizes(weights: Weights) -> list[NDArray[np.float32]]:
    """The matrices that a step multiplies: the key of a modality is folded into its query, [D, H]."""
    d, h = PAPER.feature, PAPER.hidden
    kept = [value for name, value in weights.items() if name.split(".")[0] in {"fusion", "lstm", "modality"}]
    return [*kept, np.empty((d, h), np.float32), np.empty((d, h), np.float32)]


@pytest.mark.parametrize(
    ("batch", "moments", "precision", "goal"),
    [
        (1, 205, "bf16", 6),
        (1, 205, "fp32", 3.5),
        (1, 1050, "bf16", None),
        (1, 6300, "bf16", 20),
        (32, 1050, "bf16", 8),
    ],
    ids=["B=1 N=205 bf16", "B=1 N=205 fp32", "B=1 N=1050 bf16", "B=1 N=6300 bf16", "B=32 N=1050 bf16"],
)
def test_skimmer(
    against: Against, weights: Weights, batch: int, moments: int, precision: Precision, goal: float | None
) -> None:
    ours = Skimmer(weights, precision=precision, threads=THREADS)
    plain = PlainSkimmer(weights)
    inputs = banks(batch, moments)
    tensors = [torch.from_numpy(array) for array in inputs]
    logits = ours.run(*inputs, STEPS).logits
    assert np.abs(logits - plain(*tensors, STEPS).numpy()).max() < (1e-3 if precision == "fp32" else 0.1)
    stored = sum(value.size for value in folded_sizes(weights)) * (4 if precision == "fp32" else 2)
    memory = torch.ones(stored // 8, dtype=torch.int64)
    peers = {
        "plain PyTorch": lambda: plain(*tensors, STEPS),
        # The floor: the weights, read T times after whatever the peer before left in the caches.
        "reading the weights": lambda: [memory.sum() for _ in range(STEPS)],
    }
    against(
        lambda: ours.run(*inputs, STEPS),
        peers,
        rounds=9 if batch > 1 else 25,
        faster={} if goal is None else {"plain PyTorch": goal},
        within={"reading the weights": 1.5} if batch == 1 else {},
    )


@pytest.mark.parametrize(("moments", "precision"), [(205, "bf16"), (205, "fp32"), (6300, "bf16")])
def test_paired(against: Against, moments: int, precision: Precision) -> None:
    """What joining the banks first costs: no goal, but its price beside the skimmer that does not."""
    classes = tuple(map(str, range(PAPER.classes)))
    paired, paper = (
        Skimmer(
            random_skim(PlanDocument(classes=classes, skim=SkimSettings(preset=preset)), PAPER),
            precision=precision,
            threads=THREADS,
        )
        for preset in ("paired", "paper")
    )
    inputs = banks(1, moments)
    against(lambda: paired.run(*inputs, STEPS), {"preset paper": lambda: paper.run(*inputs, STEPS)}, rounds=9)

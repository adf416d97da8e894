"""What networks cost: multiply-adds by PyTorch's counter, seconds by the clock of this machine."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from l2l_engine.plan import MediaSettings
from training.models import AudioEncoder, ImageEncoder, SkimBatch, Student

CLIP_FRAMES = 16
"""Frames of a teacher's clip."""

Network = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a computation takes: 10^9 multiply-adds, and seconds."""

    gmac: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.gmac + other.gmac, self.seconds + other.seconds)

    def __mul__(self, times: float) -> Cost:
        return Cost(self.gmac * times, self.seconds * times)

    def to_plain(self) -> dict[str, float]:
        """Return the cost as it stands in a report."""
        return {"gmac": self.gmac, "seconds": self.seconds}


def count(network: Network, *inputs: Any) -> float:
    """Return multiply-adds of one call: half of what PyTorch's counter counts as floating-point operations.

    The counter knows convolutions and matrix products. Element-wise work does not count, as is usual.
    """
    return _count(network, inputs)["Global"]


def _count(network: Network, inputs: tuple[Any, ...]) -> dict[str, float]:
    counter = FlopCounterMode(display=False, depth=8, custom_mapping=_FORMULAS)
    with torch.no_grad(), counter:
        network(*inputs)
    return {name: sum(kinds.values()) / 2 for name, kinds in counter.get_flop_counts().items()}


def _recurrent(
    inputs: Sequence[int], of_input: Sequence[int], of_state: Sequence[int], *_: Any, **__: Any
) -> int:
    """Count a recurrent layer over [T, B, features], which PyTorch's counter does not know by itself."""
    return 2 * inputs[0] * inputs[1] * (math.prod(of_input) + math.prod(of_state))


_FORMULAS = {torch.ops.aten.mkldnn_rnn_layer: _recurrent}


def measure(network: Network, *inputs: Any, repeats: int = 9) -> float:
    """Return seconds of one call: the median, after one that does not count."""
    times = []
    with torch.inference_mode():
        network(*inputs)
        for _ in range(repeats):
            start = time.perf_counter()
            network(*inputs)
            times.append(time.perf_counter() - start)
    return float(np.median(times))


def cost(network: Network, *inputs: Tensor, repeats: int = 9) -> Cost:
    """Return the cost of one row of the inputs, which are a batch."""
    rows = len(inputs[0])
    return Cost(count(network, *inputs) / 1e9 / rows, measure(network, *inputs, repeats=repeats) / rows)


def image_cost(image: ImageEncoder, batch: int = 16) -> Cost:
    """Return the cost of one frame, of the size that it sees, through an image encoder."""
    side = image.side
    return cost(image.eval(), torch.zeros(batch, side, side, 3, dtype=torch.uint8))


def window_cost(audio: AudioEncoder, batch: int = 16) -> Cost:
    """Return the cost of one window of sound through an audio encoder, spectrogram included."""
    return cost(audio.eval(), torch.randn(batch, audio.window) / 10)


def clip_cost(teacher: nn.Module, side: int, batch: int = 2) -> Cost:
    """Return the cost of one clip of 16 frames through the teacher."""
    return cost(teacher.eval(), torch.zeros(batch, CLIP_FRAMES, side, side, 3, dtype=torch.uint8), repeats=5)


def classifier_cost(student: Student, pairs: int = 16) -> Cost:
    """Return the cost of Psi and the clip classifier on one pair of features."""
    rows = torch.randn(pairs, student.classifier.in_features)
    return cost(student.eval().classify, rows, rows)


@dataclass(frozen=True, slots=True)
class SkimMacs:
    """Multiply-adds of T steps over N timestamps, M^I image knots and M^A audio knots; linear in the three.

    They are those of Eq. 5-9 with banks at the knots: keys (and joining, in preset ``paired``), and a step's
    fusion, LSTM, queries, attention, mixtures and modality scores. The engine folds keys into queries and
    needs fewer.
    """

    fixed: float
    per_timestamp: float
    per_image: float
    per_audio: float

    def of(self, timestamps: float, image_knots: float, audio_knots: float) -> float:
        """Return the multiply-adds of a video; for means over videos, their mean."""
        by_size = (
            self.per_timestamp * timestamps + self.per_image * image_knots + self.per_audio * audio_knots
        )
        return self.fixed + by_size


def skim_macs(skimmer: nn.Module, features: int, steps: int) -> SkimMacs:
    """Return the law of a skimmer's multiply-adds, by the counter at four sizes."""
    corner = np.array([6, 2, 2])
    sizes = [corner, *(corner + np.eye(3, dtype=int))]
    first, *others = (count(skimmer, skim_batch(features, *map(int, size)), steps) for size in sizes)
    slopes = [other - first for other in others]
    return SkimMacs(first - float(corner @ slopes), *slopes)


def skim_parts(skimmer: nn.Module, features: int, size: tuple[int, int, int], steps: int) -> dict[str, float]:
    """Return multiply-adds of a skim by part; ``attention`` is scores and mixtures (Eq. 6-8).

    Args:
        skimmer: Any preset.
        features: D.
        size: N, M^I and M^A.
        steps: T.
    """
    batch = skim_batch(features, *size)
    found = _count(skimmer, (batch, steps))
    parts: dict[str, float] = defaultdict(float)
    for name, _ in skimmer.named_children():
        start = f"{type(skimmer).__name__}.{name}"
        # A list of layers is never called itself, so that only what is in it was counted.
        inner = sum(macs for called, macs in found.items() if called.startswith(f"{start}."))
        parts[name.partition("_")[0]] += found.get(start, inner)
    attention = found["Global"] - sum(parts.values())
    return {"all": found["Global"], **parts, "attention": attention}


def skim_batch(features: int, timestamps: int, image_knots: int, audio_knots: int) -> SkimBatch:
    """Return banks of one video with evenly spread knots, for counting and timing."""

    def bank(knots: int) -> tuple[Tensor, Tensor]:
        times = torch.linspace(0, timestamps - 1, max(1, knots))[None] * MediaSettings().hop
        return torch.randn(1, max(1, knots), features), times

    (image, image_times), (audio, audio_times) = bank(image_knots), bank(audio_knots)
    return SkimBatch(
        image=image,
        audio=audio,
        image_times=image_times,
        audio_times=audio_times,
        image_lengths=torch.tensor([image_knots]),
        audio_lengths=torch.tensor([audio_knots]),
        lengths=torch.tensor([timestamps]),
        hop=MediaSettings().hop,
    )

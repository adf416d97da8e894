"""What is done in memory of the host whatever the device: features put in order, a skimmer and a head run."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from l2l_engine.backends.encoder import Encode
from l2l_engine.result import FloatArray, TimeArray
from l2l_engine.run.compute import Bank, Collected
from l2l_engine.run.watch import Stage, Stopwatch
from l2l_engine.skim import MomentHead, SkimmingModel, SkimResult


class HostStore:
    """A :class:`l2l_engine.run.compute.FeatureStore` in memory of the host.

    Args:
        encode: Gives the features float32 [B, D] of a batch, in the calling thread.
        most: Samples a call.
    """

    undivided = 4

    def __init__(self, encode: Encode, most: int) -> None:
        self._encode, self._most = encode, most
        self._lock = threading.Lock()
        self._features: list[FloatArray] = []
        self._count = 0

    def batch_size(self, expected: int) -> int:
        """Samples a call, so that ``expected`` come in batches of about equal size."""
        calls = max(1, -(-expected // self._most))
        return -(-expected // calls) or self._most

    def encode(self, samples: Sequence[Any]) -> NDArray[np.int64]:
        """Encode samples; the numbers int64 [B] of the rows that hold their features."""
        features = self._encode(np.stack(samples))
        with self._lock:
            first = self._count
            self._features.append(features)
            self._count += len(features)
        return first + np.arange(len(features))

    def bank(self, collected: Collected | None) -> Bank | None:
        """The features of some moments, in order of time; None of none."""
        if collected is None:
            return None
        return Bank(np.concatenate(self._features)[collected.rows], collected.times)


def skim_video(  # noqa: PLR0917 - as Compute.skim
    skimmer: SkimmingModel,
    image: Bank | None,
    audio: Bank | None,
    timestamps: TimeArray,
    steps: int,
    stopwatch: Stopwatch,
) -> SkimResult:
    """Run a skimmer of the host on one video; at most one modality may be missing."""
    modality: Literal["both", "image", "audio"] = "both"
    if image is None:
        modality = "audio"
    elif audio is None:
        modality = "image"
    with stopwatch.stage(Stage.SKIM):
        return skimmer.run(
            None if image is None else image.features[None],
            None if audio is None else audio.features[None],
            None if image is None else image.times[None],
            None if audio is None else audio.times[None],
            timestamps[None],
            steps,
            modality=modality,
        )


def moment_logits(
    head: MomentHead, image: Bank | None, audio: Bank | None, timestamps: TimeArray, stopwatch: Stopwatch
) -> NDArray[np.float64]:
    """What moments show, logits [N, C], by features on the host; at most one modality may be missing."""
    seen, heard = (None if bank is None else (bank.features, bank.times) for bank in (image, audio))
    with stopwatch.stage(Stage.SKIM):
        return head.logits(seen, heard, timestamps)

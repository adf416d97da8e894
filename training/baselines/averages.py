"""Baselines that average the clip classifier's scores over some pairs: from RANDOM to DENSE and SCSAMPLER."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.baselines.method import Encoded
from training.models import Student
from training.skimming.sequences import Track

COUNT = 10
"""Pairs that are averaged (paper 4.2)."""

Choice = Callable[[int], Tensor]
"""From N to the timestamps that are averaged, int64, increasing."""


def random_choice(seed: int, count: int = COUNT) -> Choice:
    """RANDOM: without replacement; the same for all videos of one length."""

    def choose(n: int) -> Tensor:
        drawn = np.random.default_rng([seed, n]).choice(n, min(count, n), replace=False)
        return torch.from_numpy(np.sort(drawn))

    return choose


def uniform(n: int) -> Tensor:
    """UNIFORM: the middles of ten equal parts."""
    if n <= COUNT:
        return torch.arange(n)
    return ((torch.arange(COUNT) + 0.5) * n / COUNT).long()


def front(n: int) -> Tensor:
    """FRONT: the first ten."""
    return torch.arange(min(COUNT, n))


def center(n: int) -> Tensor:
    """CENTER: the middle ten."""
    count = min(COUNT, n)
    return torch.arange(count) + (n - count) // 2


def end(n: int) -> Tensor:
    """END: the last ten."""
    return torch.arange(max(0, n - COUNT), n)


def dense(n: int) -> Tensor:
    """DENSE: all of them."""
    return torch.arange(n)


def clip_scores(student: Student, track: Track, chosen: Tensor, *, several: bool = False) -> Tensor:
    """Score the chosen pairs by the clip classifier, [M, C]; what could not be decoded counts as zero.

    Args:
        student: Its encoders are not used.
        track: N pairs.
        chosen: int64 [M].
        several: Whether a video may have several labels: a sigmoid instead of a softmax.
    """
    image = (track.image * track.image_valid[:, None])[chosen]
    audio = (track.audio * track.audio_valid[:, None])[chosen]
    logits = student.classify(image, audio)
    return logits.sigmoid() if several else logits.softmax(dim=1)


@dataclass(frozen=True, slots=True)
class ClipAverage:
    """The mean score of pairs that are chosen blindly."""

    name: str
    student: Student
    choose: Choice
    several: bool = False

    @torch.no_grad()
    def scores(self, tracks: Sequence[Track]) -> Tensor:
        """See :class:`training.baselines.Method`."""
        means = [self._one(track).mean(dim=0) for track in tracks]
        return torch.stack(means)

    def _one(self, track: Track) -> Tensor:
        return clip_scores(self.student, track, self.choose(len(track)), several=self.several)

    def pairs(self, track: Track) -> Encoded:
        """Return the chosen ones, as far as they can be decoded."""
        return encoded(track, self.choose(len(track)))


@dataclass(frozen=True, slots=True)
class ScSampler:
    """SCSAMPLER: the mean score of the ten pairs of which the clip classifier is most confident."""

    student: Student
    several: bool = False
    name: str = "SCSAMPLER"

    @torch.no_grad()
    def scores(self, tracks: Sequence[Track]) -> Tensor:
        """See :class:`training.baselines.Method`."""
        means = []
        for track in tracks:
            found = clip_scores(self.student, track, dense(len(track)), several=self.several)
            best = found.amax(dim=1).topk(min(COUNT, len(found))).indices
            means.append(found[best].mean(dim=0))
        return torch.stack(means)

    def pairs(self, track: Track) -> Encoded:
        """Return all pairs: confidence is known only of what was classified."""
        return encoded(track, dense(len(track)))


def encoded(track: Track, chosen: Tensor) -> Encoded:
    """Return how many of the chosen timestamps have a picture, and how many sound."""
    return Encoded(int(track.image_valid[chosen].sum()), int(track.audio_valid[chosen].sum()))


def clip_averages(student: Student, *, several: bool = False, seed: int = 0) -> list[ClipAverage | ScSampler]:
    """Return all baselines that need no training, in the paper's order."""
    choices = {
        "RANDOM": random_choice(seed),
        "UNIFORM": uniform,
        "FRONT": front,
        "CENTER": center,
        "END": end,
    }
    blind = [ClipAverage(name, student, choose, several) for name, choose in choices.items()]
    return [*blind, ScSampler(student, several), ClipAverage("DENSE", student, dense, several)]

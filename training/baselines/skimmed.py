"""The skimmer as a row of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.baselines.method import Encoded
from training.models import SkimmingNetwork
from training.skimming.measure import skim_tracks
from training.skimming.sequences import Track, fixed_knots


@dataclass(frozen=True, slots=True)
class Skimming:
    """Ours: T steps over knots at every ``factor``-th timestamp."""

    name: str
    skimmer: SkimmingNetwork
    steps: int
    factor: int
    several: bool = False

    @torch.no_grad()
    def scores(self, tracks: Sequence[Track]) -> Tensor:
        """See :class:`training.baselines.Method`."""
        logits = skim_tracks(self.skimmer, tracks, self.steps, self.factor).logits[:, -1]
        return logits.sigmoid() if self.several else logits.softmax(dim=1)

    def pairs(self, track: Track) -> Encoded:
        """Return the knots; of the sound only if the skimmer listens."""
        knots = fixed_knots(track, self.factor)
        listens = "audio" in self.skimmer.modalities
        return Encoded(len(knots.image_knots), listens * len(knots.audio_knots))

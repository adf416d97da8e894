"""The skimmer over knots of its own choice: fewer frames than seconds of sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from training.baselines import Encoded, Method
from training.models import SkimmingNetwork
from training.skimming.sequences import Knotted, Track, collate, regular_knots

BATCH = 32


@dataclass(frozen=True, slots=True)
class TwoDensities:
    """T steps over every k-th timestamp, with a k for frames and another for sound."""

    name: str
    skimmer: SkimmingNetwork
    steps: int
    image_factor: int
    audio_factor: int
    several: bool = False

    @torch.inference_mode()
    def scores(self, tracks: Sequence[Track]) -> Tensor:
        """See :class:`training.baselines.Method`."""
        return self.step_scores(tracks)[:, -1]

    @torch.inference_mode()
    def step_scores(self, tracks: Sequence[Track]) -> Tensor:
        """Return scores [V, T, C] after each step."""
        logits = skim_items(self.skimmer, [self.items(track) for track in tracks], self.steps)
        return logits.sigmoid() if self.several else logits.softmax(dim=2)

    def pairs(self, track: Track) -> Encoded:
        """Return the knots; of the sound only if the skimmer listens."""
        item = self.items(track)
        listens = "audio" in self.skimmer.modalities
        return Encoded(len(item.image_knots), listens * len(item.audio_knots))

    def items(self, track: Track) -> Knotted:
        """Return the knots, as far as they can be decoded."""
        image, audio = (
            regular_knots(len(track), factor) for factor in (self.image_factor, self.audio_factor)
        )
        return Knotted(
            track, image[track.image_valid[image].numpy()], audio[track.audio_valid[audio].numpy()]
        )


@dataclass(frozen=True, slots=True)
class Thinned:
    """Any method on every k-th timestamp alone, as if there were no others."""

    name: str
    method: Method
    factor: int

    def scores(self, tracks: Sequence[Track]) -> Tensor:
        """See :class:`training.baselines.Method`."""
        return self.method.scores([thin(track, self.factor) for track in tracks])

    def pairs(self, track: Track) -> Encoded:
        """Return what the method needs of what is left."""
        return self.method.pairs(thin(track, self.factor))


def thin(track: Track, factor: int) -> Track:
    """Return every ``factor``-th timestamp from the first on."""
    names = ("image", "audio", "image_valid", "audio_valid", "inside")
    return replace(track, **{name: getattr(track, name)[::factor] for name in names})


@torch.inference_mode()
def skim_items(skimmer: SkimmingNetwork, items: Sequence[Knotted], steps: int) -> Tensor:
    """Return logits [V, T, C] after each step."""
    skimmer.eval()
    logits = []
    for start in range(0, len(items), BATCH):
        output = skimmer(collate(items[start : start + BATCH]), steps)
        logits.append(skimmer.step_logits(output))
    return torch.cat(logits)

"""Training batches for networks that read whole videos: the same update draws the same batch in every run."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from training.config import SkimConfig
from training.errors import InputError
from training.models import SkimBatch
from training.runs.devices import share
from training.runs.seeds import seed_everything
from training.skimming.sequences import (
    Knotted,
    Recombiner,
    Track,
    collate,
    draw_density,
    draw_knots,
    draw_length,
    targets,
)


class Source:
    """Draws training batches; under ``torchrun`` each process keeps its share.

    Args:
        tracks: The training videos.
        classes: C.
        settings: How they are drawn.
        seed: What every draw starts from, together with the number of its update.

    Raises:
        InputError: If there are no videos, or one has several labels and ``settings.output`` is "softmax".
    """

    def __init__(self, tracks: Sequence[Track], classes: int, settings: SkimConfig, *, seed: int) -> None:
        if not tracks:
            raise InputError(f"skim.train: no video of {', '.join(settings.train)} can be used")
        if not settings.several and any(track.others for track in tracks):
            raise InputError('skim.output is "softmax", but videos have several labels; set it to "sigmoid"')
        self._tracks, self._classes, self._settings = tracks, classes, settings
        self._seed = seed
        self._recombine = Recombiner(tracks)

    def draw(self, update: int) -> tuple[SkimBatch, Tensor]:
        """Return the banks of one update, and the labels bool [B, C]."""
        rng = seed_everything(self._seed, update)
        density = draw_density(rng, self._settings)
        longest = draw_length(rng, self._settings)
        items: list[Knotted] = []
        while len(items) < self._settings.batch:
            if self._recombine.possible and rng.random() < self._settings.recombine:
                track = self._recombine(rng, longest)
            else:
                track = self._tracks[int(rng.integers(len(self._tracks)))]
            items.append(draw_knots(rng, track, density, self._settings))
        items = share(items)
        batch = collate(items)
        # Features of the training set are a little too good; noise of their own scale blurs them.
        batch.image = _blur(batch.image, self._settings.noise)
        batch.audio = _blur(batch.audio, self._settings.noise)
        return batch, targets([item.track for item in items], self._classes)


def _blur(bank: Tensor, noise: float) -> Tensor:
    return bank + noise * bank.abs().mean() * torch.randn_like(bank) * (bank.abs().sum(2, keepdim=True) > 0)

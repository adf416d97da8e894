"""Baselines that are trained: LSTM and NON-RECURRENT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.baselines.averages import COUNT, dense, encoded
from training.baselines.method import Encoded
from training.models import Fusion, SkimBatch, SkimmingNetwork
from training.models.banks import Interpolation
from training.models.skimming import MODALITIES
from training.skimming.sequences import Track, collate, fixed_knots

BATCH = 32


class SequenceNetwork(nn.Module):
    """LSTM: one layer over Psi of all N pairs in turn; the last state says the class.

    Args:
        classes: C.
        features: D.
        fusion: F.
        hidden: H.
    """

    def __init__(self, classes: int, *, features: int, fusion: int, hidden: int) -> None:
        super().__init__()
        self.fusion = Fusion(features, fusion)
        # Cell by cell, as the skimmer's: the kernel for whole sequences hides from the counter of operations.
        self.lstm = nn.LSTMCell(features, hidden)
        self.classifier = nn.Linear(hidden, classes)

    def forward(self, batch: SkimBatch) -> Tensor:
        """Return logits [B, C]."""
        state: tuple[Tensor, Tensor] | None = None
        states = []
        for fused in self.fusion(*pairs_of(batch)).unbind(dim=1):
            state = self.lstm(fused, state)
            states.append(state[0])
        last = torch.stack(states, dim=1)[torch.arange(len(batch.lengths)), batch.lengths - 1]
        logits: Tensor = self.classifier(last)
        return logits


class SingleQuery(nn.Module):
    """NON-RECURRENT: one query; the pairs of the ten largest attention weights are averaged.

    The weights of the ten, divided by their sum, are those of the average, so that the query learns.

    Args:
        skimmer: Takes the one step.
    """

    def __init__(self, skimmer: SkimmingNetwork) -> None:
        super().__init__()
        self.skimmer = skimmer

    def forward(self, batch: SkimBatch) -> Tensor:
        """Return logits [B, C]."""
        batch = self.skimmer.joined(batch)
        output = self.skimmer.skim(batch, 1)
        votes = output.modality_scores[:, 0]
        mix = votes[:, :1] * output.image_attention[:, 0] + votes[:, 1:] * output.audio_attention[:, 0]
        weights, chosen = mix.topk(min(COUNT, mix.shape[1]), dim=1)
        rows = chosen[:, :, None].expand(-1, -1, batch.image.shape[2])
        pairs = pairs_of(batch, self.skimmer.modalities)
        fused = self.skimmer.fusion(*(bank.gather(1, rows) for bank in pairs))
        mean = torch.einsum("bm,bmd->bd", weights / weights.sum(dim=1, keepdim=True), fused)
        logits: Tensor = self.skimmer.classifier(mean)
        return logits


def pairs_of(batch: SkimBatch, modalities: Sequence[str] = MODALITIES) -> list[Tensor]:
    """Return the modalities' features at all timestamps, [B, N, D] each; zero for what a video lacks."""
    stamps = batch.hop * torch.arange(int(batch.lengths.max()), device=batch.image.device)
    found = []
    for name in modalities:
        rows, times, lengths = batch.modality(name)
        found.append(Interpolation(times, lengths, stamps).rows(rows) * (lengths > 0)[:, None, None])
    return found


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained network over all pairs of a video, or over what lies between every ``factor``-th of them."""

    name: str
    network: SequenceNetwork | SingleQuery
    several: bool = False
    factor: int = 1

    @torch.no_grad()
    def scores(self, tracks: Sequence[Track]) -> Tensor:
        """See :class:`training.baselines.Method`."""
        self.network.eval()
        logits = []
        for start in range(0, len(tracks), BATCH):
            items = [fixed_knots(track, self.factor) for track in tracks[start : start + BATCH]]
            logits.append(self.network(collate(items)))
        found = torch.cat(logits)
        return found.sigmoid() if self.several else found.softmax(dim=1)

    def pairs(self, track: Track) -> Encoded:
        """Return the knots; all by default."""
        return encoded(track, dense(len(track))[:: self.factor])

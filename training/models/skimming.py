"""ImgAud-Skimming: where to look and listen next (Eq. 5-9, preset ``paper``), batched for training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.fusion import Fusion


@dataclass(slots=True)
class SkimBatch:
    """The feature banks of B videos, padded to common lengths.

    Attributes:
        image, audio: float32 [B, M, D], features at the knots; M may differ between the two.
        image_times, audio_times: float32 [B, M], seconds, increasing within a video's length.
        image_lengths, audio_lengths: int64 [B]; 0 for a missing modality.
        lengths: int64 [B], timestamps of each video.
        hop: Seconds between timestamps.
    """

    image: Tensor
    audio: Tensor
    image_times: Tensor
    audio_times: Tensor
    image_lengths: Tensor
    audio_lengths: Tensor
    lengths: Tensor
    hop: float


@dataclass(slots=True)
class SkimOutput:
    """What every step gave.

    Attributes:
        logits: [B, C] after all steps (Eq. 9).
        image_attention, audio_attention: [B, T, N], w^I and w^A of each step (Eq. 6).
        modality_scores: [B, T, 2], s^I and s^A.
        step_features: [B, T, D], Psi of what each step saw.
    """

    logits: Tensor
    image_attention: Tensor
    audio_attention: Tensor
    modality_scores: Tensor
    step_features: Tensor


class Interpolation:
    """Linear interpolation between knots, z_j = sum_m B_jm z_m, without the N x D rows (DESIGN 2).

    Rows of B sum to 1. So scores are interpolated, since keys are affine in the features, and weights over
    the timestamps become weights over the knots: the same numbers for a fraction of the memory.

    Args:
        times: [B, M], increasing within the length; later ones are never used.
        lengths: [B]; 0 stands for a missing modality, whose rows all count as zero.
        at: [N] seconds; before the first and after the last knot the nearest one holds.
    """

    def __init__(self, times: Tensor, lengths: Tensor, at: Tensor) -> None:
        rows = torch.arange(times.shape[1], device=times.device)
        self._used = rows < lengths[:, None]
        times = times.masked_fill(~self._used, float("inf"))
        at = at.expand(times.shape[0], -1).contiguous()
        last = (lengths - 1).clamp(min=0)[:, None]
        right = torch.searchsorted(times.contiguous(), at, right=True)
        self._left, self._right = (right - 1).clamp(min=0), torch.minimum(right, last)
        left_time, right_time = times.gather(1, self._left), times.gather(1, self._right)
        span = right_time - left_time
        inner = (span > 0) & torch.isfinite(span)
        self._share = torch.where(inner, (at - left_time) / torch.where(inner, span, 1.0), 0.0)

    def spread(self, scores: Tensor) -> Tensor:
        """B s: scores at the knots [B, M] to the timestamps [B, N]."""
        return torch.lerp(scores.gather(1, self._left), scores.gather(1, self._right), self._share)

    def collect(self, weights: Tensor) -> Tensor:
        """B^T w: weights over the timestamps [B, N] to the knots [B, M]."""
        collected = torch.zeros_like(self._used, dtype=weights.dtype)
        collected = collected.scatter_add(1, self._left, weights * (1 - self._share))
        return collected.scatter_add(1, self._right, weights * self._share) * self._used


class SkimmingNetwork(nn.Module):
    """The skimmer. Its parameters carry the plan's names (DESIGN 5), but for the LSTM's two biases.

    Args:
        classes: C.
        features: D.
        fusion: F, the hidden size of Psi.
        keys: K, the size of keys and queries.
        hidden: H, the LSTM's size.
    """

    def __init__(self, classes: int, *, features: int, fusion: int, keys: int, hidden: int) -> None:
        super().__init__()
        self.fusion = Fusion(features, fusion)
        self.key_image = nn.Linear(features, keys)
        self.key_audio = nn.Linear(features, keys)
        self.query_image = nn.ModuleList([nn.Linear(hidden, keys)])
        self.query_audio = nn.ModuleList([nn.Linear(hidden, keys)])
        self.lstm = nn.LSTMCell(features, hidden)
        self.modality = nn.Linear(hidden, 2)
        self.classifier = nn.Linear(features, classes)

    def forward(self, batch: SkimBatch, steps: int, blocked: Tensor | None = None) -> SkimOutput:
        """Skim each video for ``steps`` steps (T).

        ``blocked`` (bool [B, T, 2]) takes a modality's vote away at a step; never both, and never the only
        one's.
        """
        n = int(batch.lengths.max())
        stamps = batch.hop * torch.arange(n, device=batch.image.device)
        valid = torch.arange(n, device=batch.image.device) < batch.lengths[:, None]
        image = Interpolation(batch.image_times, batch.image_lengths, stamps)
        audio = Interpolation(batch.audio_times, batch.audio_lengths, stamps)
        keys = self.key_image(batch.image), self.key_audio(batch.audio)
        absent = torch.stack([batch.image_lengths == 0, batch.audio_lengths == 0], dim=1)
        state: tuple[Tensor, Tensor] | None = None
        mix = valid / batch.lengths[:, None]
        collected: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        for step in range(steps):
            fused = self.fusion(
                weighted_sum(image.collect(mix), batch.image), weighted_sum(audio.collect(mix), batch.audio)
            )
            state = self.lstm(fused, state)  # Eq. 5
            look = attend(keys[0], self.query_image[0](state[0]), image, valid)
            listen = attend(keys[1], self.query_audio[0](state[0]), audio, valid)
            silenced = absent if blocked is None else absent | (blocked[:, step] & ~absent.flip(1))
            scores = self.modality(state[0]).masked_fill(silenced, float("-inf")).softmax(dim=1)
            # Eq. 8 is linear in the weights: one mixture indexes both banks.
            mix = scores[:, :1] * look + scores[:, 1:] * listen
            collected.append((look, listen, scores, fused))
        look, listen, scores, features = (torch.stack(parts, dim=1) for parts in zip(*collected, strict=True))
        logits = self.classifier(features.mean(dim=1))  # Eq. 9
        return SkimOutput(
            logits=logits,
            image_attention=look * ~absent[:, :1, None],
            audio_attention=listen * ~absent[:, 1:, None],
            modality_scores=scores,
            step_features=features,
        )

    def step_logits(self, output: SkimOutput) -> Tensor:
        """Logits [B, T, C] when stopping after 1, 2, ... T steps."""
        steps = output.step_features.shape[1]
        counts = torch.arange(1, steps + 1, device=output.step_features.device)[:, None]
        return self.classifier(output.step_features.cumsum(dim=1) / counts)


def attend(keys: Tensor, query: Tensor, between: Interpolation, valid: Tensor) -> Tensor:
    """Eq. 6: softmax over the video's timestamps of k_j . q / sqrt(d); keys [B, M, K] at the knots."""
    scores = between.spread(torch.einsum("bmk,bk->bm", keys, query) / keys.shape[2] ** 0.5)
    return functional.softmax(scores.masked_fill(~valid, float("-inf")), dim=1)


def weighted_sum(weights: Tensor, rows: Tensor) -> Tensor:
    """Index(w) of Eq. 7: [B, M] over [B, M, D] to [B, D]."""
    return torch.einsum("bm,bmd->bd", weights, rows)

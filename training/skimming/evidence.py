"""Learns preset ``evidence`` from embeddings of a few trimmed clips, and of what is none of their classes.

First every moment is told apart from the others by a regularised regression against the background. Then
whole sequences, joined anew in every update, teach the pool how evidence adds up over time, and correct the
regression where single moments mislead; where joining says what is heard when, moments go on being learnt.
Nothing else is learnt: two numbers a scale, and a row of weights a class that stays near where it began.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.models.evidence import SECONDS, EvidenceNetwork
from training.skimming.joining import Joiner, JoinSettings
from training.skimming.sequences import Track

_WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class EvidenceSettings:
    """How the head is learnt.

    Attributes:
        join: How sequences are joined.
        seconds: The scales of the pool.
        directions: Principal directions of the embeddings that are learnt on.
        decay: Weight of the squared weights, in units of those directions.
        near: Weight of the squared way of the weights from the regression.
        moments: Weight of single moments beside whole sequences.
        updates, batch, rate, pool_rate: Of Adam; the rates fall to 0 in proportion.
    """

    join: JoinSettings = field(default_factory=JoinSettings)
    seconds: tuple[float, ...] = SECONDS
    directions: int = 128
    decay: float = 3e-3
    near: float = 0.03
    moments: float = 0.3
    updates: int = 120
    batch: int = 32
    rate: float = 1e-3
    pool_rate: float = 1e-2


@dataclass(frozen=True, slots=True)
class Directions:
    """Standardised embeddings along their principal directions: x -> (x - mean) / scale @ basis.

    Attributes:
        mean, scale: [E].
        basis: [E, K].
    """

    mean: Tensor
    scale: Tensor
    basis: Tensor

    @classmethod
    def of(cls, rows: Tensor, most: int) -> Directions:
        """Find them in rows [R, E]."""
        mean, deviation = rows.mean(dim=0), rows.std(dim=0)
        # A value that hardly ever differs is no more telling for being made large.
        scale = deviation + 0.1 * deviation.mean() + 1e-8
        standard = (rows - mean) / scale
        _, basis = torch.linalg.eigh(standard.T @ standard / len(rows))
        return cls(mean, scale, basis.flip(1)[:, :most].contiguous())

    def __call__(self, rows: Tensor) -> Tensor:
        """Turn [..., E] into [..., K]."""
        turned: Tensor = (rows - self.mean) / self.scale @ self.basis
        return turned

    def folded(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights [C, E] and bias [C] that do with embeddings what these do with directions."""
        whole = weight @ self.basis.T / self.scale
        return whole, bias - whole @ self.mean


def train_evidence(
    clips: Sequence[Track],
    background: Sequence[Track],
    classes: int,
    *,
    silence: Sequence[Track] = (),
    settings: EvidenceSettings | None = None,
    seed: int = 0,
) -> EvidenceNetwork:
    """Learn the head from embeddings; the same arguments give the same head.

    Args:
        clips: Trimmed clips with their labels, as embeddings; a modality that none has is of width 0.
        background: What is none of the classes; the last word of what the answer is *not*.
        classes: C.
        silence: What the encoders say of nothing.
        settings: How.
        seed: Of the joined sequences.

    Raises:
        InputError: If there are no clips, or nothing to put them between.
    """
    settings = EvidenceSettings() if settings is None else settings
    sizes = {name: size for name in ("image", "audio") if (size := getattr(clips[0], name).shape[1])}
    groups = (clips, [*background, *silence])
    whole = [[_rows(track, sizes) for track in group] for group in groups]
    directions = Directions.of(torch.cat([*whole[0], *whole[1]]), settings.directions)
    turned = [[_turned(track, rows, directions) for track, rows in zip(*pair, strict=True)]
              for pair in zip(groups, whole, strict=True)]  # fmt: skip
    own, other = turned
    head = EvidenceNetwork(classes, {_WHOLE: directions.basis.shape[1]}, settings.seconds)
    start_from_moments(head, own, other, settings.decay)
    joiner = Joiner(own, other[: len(background)], other[len(background) :], settings.join)
    _learn(head, joiner, settings, seed)
    return _unfold(head, directions, sizes, classes, settings)


def _rows(track: Track, sizes: Mapping[str, int]) -> Tensor:
    """Embeddings of all modalities side by side [N, E]; what could not be decoded is zero."""
    parts = [getattr(track, name) * getattr(track, f"{name}_valid")[:, None] for name in sizes]
    return torch.cat(parts, dim=1).float()


def _turned(track: Track, rows: Tensor, directions: Directions) -> Track:
    """The same track, what is known of it in the place of the sound."""
    valid, found = torch.ones(len(rows), dtype=torch.bool), directions(rows)
    return Track(found[:, :0], found, ~valid, valid, track.inside | True, track.label, track.hop)


def start_from_moments(
    head: EvidenceNetwork, clips: Sequence[Track], background: Sequence[Track], decay: float
) -> None:
    """Fit weights and bias to single moments: a regression over the classes and "none of them"."""
    rows = torch.cat([track.audio for track in (*clips, *background)])
    none = len(head.bias)
    labels = torch.cat(
        [torch.full((len(track),), track.label) for track in clips]
        + [torch.full((len(track),), none) for track in background]
    )
    weight = torch.zeros(none + 1, rows.shape[1], requires_grad=True)
    bias = torch.zeros(none + 1, requires_grad=True)
    descent = torch.optim.LBFGS([weight, bias], max_iter=40, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        descent.zero_grad()
        logits = rows @ weight.T + bias
        loss = functional.cross_entropy(logits, labels) + decay * weight.square().sum()
        loss.backward()
        return loss

    descent.step(closure)
    with torch.no_grad():
        # Only differences of logits count: "none" is where evidence is 0.
        head.weights[_WHOLE].copy_(weight[:none] - weight[none])
        head.bias.copy_(bias[:none] - bias[none])


def _learn(head: EvidenceNetwork, joiner: Joiner, settings: EvidenceSettings, seed: int) -> None:
    rng, weight = np.random.default_rng(seed), head.weights[_WHOLE]
    first, count = weight.detach().clone(), settings.updates
    groups = [
        {"params": [weight, head.bias], "lr": settings.rate},
        {"params": list(head.pool.parameters()), "lr": settings.pool_rate},
    ]
    descent = torch.optim.Adam(groups)
    falling = torch.optim.lr_scheduler.LambdaLR(descent, lambda update: 1 - update / count)
    for _ in range(count):
        tracks = [joiner(rng) for _ in range(settings.batch)]
        loss = _loss(head, tracks, settings.moments)
        loss = loss + settings.near * (weight - first).square().sum()
        loss = loss + settings.decay * weight.square().sum()
        descent.zero_grad()
        loss.backward()
        descent.step()
        falling.step()


def _loss(head: EvidenceNetwork, tracks: Sequence[Track], share: float) -> Tensor:
    rows, valid = padded([track.audio for track in tracks])
    inside, _ = padded([track.inside[:, None] for track in tracks])
    labels = torch.tensor([track.label for track in tracks])
    evidence = head.evidence({_WHOLE: rows})
    loss = functional.cross_entropy(head.pool(evidence, valid, tracks[0].hop), labels)
    if not share:
        return loss
    logits = functional.pad(evidence, (0, 1))[valid]
    inside = inside[:, :, 0][valid]
    none = torch.full_like(inside, len(head.bias), dtype=torch.int64)
    truth = torch.where(inside, labels[:, None].expand(valid.shape)[valid], none)
    each = functional.cross_entropy(logits, truth, reduction="none")
    # A class is heard for a few seconds of minutes: both sides count the same.
    return loss + share * (each[inside].mean() + each[~inside].mean()) / 2


def padded(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return rows [N, E] of several sequences as [B, N, E], and which of them there are: bool [B, N]."""
    lengths = torch.tensor([len(part) for part in rows])
    batch = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
    return batch, torch.arange(batch.shape[1]) < lengths[:, None]


@torch.no_grad()
def _unfold(
    head: EvidenceNetwork,
    directions: Directions,
    sizes: Mapping[str, int],
    classes: int,
    settings: EvidenceSettings,
) -> EvidenceNetwork:
    weight, bias = directions.folded(head.weights[_WHOLE], head.bias)
    unfolded = EvidenceNetwork(classes, sizes, settings.seconds)
    for name, part in zip(sizes, weight.split(list(sizes.values()), dim=1), strict=True):
        unfolded.weights[name].copy_(part)
    unfolded.bias.copy_(bias)
    unfolded.pool.load_state_dict(head.pool.state_dict())
    return unfolded.eval()


@torch.inference_mode()
def evidence_logits(head: EvidenceNetwork, tracks: Sequence[Track]) -> Tensor:
    """Return the logits [V, C] of sequences of embeddings."""
    logits = []
    for start in range(0, len(tracks), 32):
        part = tracks[start : start + 32]
        rows, valid = padded([_rows(track, dict.fromkeys(head.weights, 0)) for track in part])
        sizes = [weight.shape[1] for weight in head.weights.values()]
        embeddings = dict(zip(head.weights, rows.split(sizes, dim=2), strict=True))
        logits.append(head(embeddings, valid, part[0].hop))
    return torch.cat(logits)

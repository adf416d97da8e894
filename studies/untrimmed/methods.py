"""The rows of the table: ways to say which target class a joined file has, learnt from clips alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.baselines.networks import SingleQuery
from training.config import SkimConfig
from training.models import SkimBatch, SkimmingNetwork
from training.models.evidence import EvidenceNetwork, smooth
from training.skimming.evidence import (
    Directions,
    EvidenceSettings,
    evidence_logits,
    padded,
    start_from_moments,
    train_evidence,
)
from training.skimming.joining import Joiner
from training.skimming.sequences import Track, collate, fixed_knots
from training.skimming.train import skim_loss

SURE, SURE_SECONDS = 10, 10.0
"""Moments, and seconds."""
UPDATES, BATCH, RATE = 120, 32, 1e-3
"""Of every network beside ours: as many sequences as ours sees, joined in the same way."""
DIRECTIONS, HIDDEN, KEYS, STEPS = 128, 256, 128, 10
"""Sizes of the skimmers: with as few clips, the paper's (1,024 and 512) learn them by heart no later."""
_PROBE = (800, (1e-3, 1e-2, 1e-1))
"""Joined sequences whose means the probe learns from, and the strengths that it chooses between."""
_WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Material:
    """What everything learns from.

    Attributes:
        clips: The targets' sounds.
        background: The other classes' sounds.
        silence: What the ears say of nothing.
        classes: C.
    """

    clips: list[Track]
    background: list[Track]
    silence: list[Track]
    classes: int

    def turned(self) -> tuple[Material, Directions]:
        """Return the same along the principal directions of all moments, and those."""
        rows = torch.cat([track.audio for track in (*self.clips, *self.background, *self.silence)])
        found = Directions.of(rows, DIRECTIONS)
        own, other, nothing = ([turn(track, found) for track in group] for group in self._groups())
        return Material(own, other, nothing, self.classes), found

    def joiner(self) -> Joiner:
        """Return what joins them."""
        return Joiner(*self._groups())

    def _groups(self) -> tuple[list[Track], list[Track], list[Track]]:
        return self.clips, self.background, self.silence


def turn(track: Track, directions: Directions) -> Track:
    """Return a track whose sound is given along the directions."""
    rows, valid = directions(track.audio), torch.ones(len(track), dtype=torch.bool)
    return Track(rows[:, :0], rows, ~valid, valid, track.inside, track.label, track.hop)


Scores = Tensor
"""[V, C] of joined files; the greatest is the answer."""


@torch.no_grad()
def clip_classifier(material: Material, files: Sequence[Track], *, none: bool) -> dict[str, Scores]:
    """Classify moments, and average: all of them, the ten surest, the surest ten seconds.

    Args:
        material: Along the principal directions.
        files: Likewise.
        none: Whether the classifier learns from the background too, as a class that is never the answer.
    """
    weight, bias = moment_classifier(material, none=none)
    found: dict[str, list[Tensor]] = {"averaged": [], "moments": [], "seconds": []}
    for file in files:
        scores = (file.audio @ weight.T + bias).softmax(dim=1)[:, : material.classes]
        found["averaged"].append(scores.mean(dim=0))
        best = scores.amax(dim=1).topk(min(SURE, len(scores))).indices
        found["moments"].append(scores[best].mean(dim=0))
        valid = torch.ones(1, len(scores), dtype=torch.bool)
        pieces = smooth(scores[None], valid, round(SURE_SECONDS / file.hop / 2))[0]
        found["seconds"].append(pieces[pieces.amax(dim=1).argmax()])
    return {name: torch.stack(rows) for name, rows in found.items()}


def moment_classifier(material: Material, *, none: bool) -> tuple[Tensor, Tensor]:
    """Return weights and bias of a regression on single moments; with ``none`` its last row is 0."""
    settings, count = EvidenceSettings(), material.classes
    head = EvidenceNetwork(count, {_WHOLE: DIRECTIONS})
    if none:
        with torch.enable_grad():
            start_from_moments(
                head, material.clips, [*material.background, *material.silence], settings.decay
            )
        weight, bias = head.weights[_WHOLE], head.bias
        return functional.pad(weight, (0, 0, 0, 1)).detach(), functional.pad(bias, (0, 1)).detach()
    rows = torch.cat([clip.audio for clip in material.clips])
    labels = torch.cat([torch.full((len(clip),), clip.label) for clip in material.clips])
    return regression(rows, labels, count, settings.decay)


def regression(rows: Tensor, labels: Tensor, classes: int, decay: float) -> tuple[Tensor, Tensor]:
    """Return weights [C, E] and bias [C] of a regularised multinomial regression."""
    weight = torch.zeros(classes, rows.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    descent = torch.optim.LBFGS([weight, bias], max_iter=60, line_search_fn="strong_wolfe")

    @torch.enable_grad()
    def closure() -> Tensor:
        descent.zero_grad()
        loss = functional.cross_entropy(rows @ weight.T + bias, labels) + decay * weight.square().sum()
        loss.backward()
        return loss

    descent.step(closure)
    return weight.detach(), bias.detach()


def probe(material: Material, files: Sequence[Track], seed: int) -> Scores:
    """Learn a regression on means of joined sequences; its strength is chosen on a fifth of them."""
    rng, joiner = np.random.default_rng(seed), material.joiner()
    count, strengths = _PROBE
    drawn = [joiner(rng) for _ in range(count)]
    rows = torch.stack([track.audio.mean(dim=0) for track in drawn])
    labels = torch.tensor([track.label for track in drawn])
    held = torch.arange(count) % 5 == 0

    def right(decay: float) -> float:
        weight, bias = regression(rows[~held], labels[~held], material.classes, decay)
        return float(((rows[held] @ weight.T + bias).argmax(dim=1) == labels[held]).float().mean())

    weight, bias = regression(rows, labels, material.classes, max(strengths, key=right))
    return torch.stack([file.audio.mean(dim=0) for file in files]) @ weight.T + bias


class Gate(nn.Module):
    """One learnt gate: a softmax over time of one number a moment weighs the moments' logits."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
        self.gate = nn.Parameter(torch.zeros(weight.shape[1]))

    def forward(self, rows: Tensor, valid: Tensor) -> Tensor:
        """Return logits [B, C] of rows [B, N, E]."""
        share = (rows @ self.gate).masked_fill(~valid, float("-inf")).softmax(dim=1)
        return torch.einsum("bn,bnc->bc", share, rows @ self.weight.T + self.bias)


def gate(material: Material, files: Sequence[Track], seed: int) -> Scores:
    """Train the gate, which begins as the average of the clip classifier."""
    weight, bias = moment_classifier(material, none=True)
    torch.manual_seed(seed)
    network = Gate(weight[:-1], bias[:-1])

    def loss(tracks: list[Track], labels: Tensor, update: int) -> Tensor:
        return functional.cross_entropy(network(*padded([track.audio for track in tracks])), labels)

    learn(network, material.joiner(), loss, seed)
    return _answers(files, lambda part: network(*padded([track.audio for track in part])))


def single_query(material: Material, files: Sequence[Track], seed: int) -> Scores:
    """NON-RECURRENT (paper 4.2): one query, ten moments; begins as the clip classifier."""
    network = SingleQuery(_skimmer(material, seed))

    def loss(tracks: list[Track], labels: Tensor, update: int) -> Tensor:
        return functional.cross_entropy(network(_batch(tracks)), labels)

    learn(network, material.joiner(), loss, seed)
    return _answers(files, lambda part: network(_batch(part)))


def paper(material: Material, files: Sequence[Track], seed: int) -> Scores:
    """The skimmer (Eq. 5-9) on sound alone, with the product's loss; begins as the clip classifier."""
    network, settings = _skimmer(material, seed), SkimConfig()

    def loss(tracks: list[Track], labels: Tensor, update: int) -> Tensor:
        steps = STEPS if update % 3 == 0 else settings.early_steps
        truth = functional.one_hot(labels, material.classes).bool()
        return skim_loss(network, network(_batch(tracks), steps), truth, settings)

    learn(network, material.joiner(), loss, seed)
    return _answers(files, lambda part: network(_batch(part), STEPS).logits)


def ours(material: Material, files: Sequence[Track], seed: int) -> Scores:
    """Preset ``evidence``: everything as :func:`train_evidence` has it by default."""
    return evidence_logits(train_ours(material, seed), files)


def train_ours(material: Material, seed: int) -> EvidenceNetwork:
    """Train the head of preset ``evidence`` on embeddings."""
    return train_evidence(
        material.clips, material.background, material.classes, silence=material.silence, seed=seed
    )


def _skimmer(material: Material, seed: int) -> SkimmingNetwork:
    """Return a skimmer whose Psi changes nothing at first, with the clip classifier's weights."""
    torch.manual_seed(seed)
    network = SkimmingNetwork(
        material.classes,
        features=DIRECTIONS,
        fusion=2 * DIRECTIONS,
        keys=KEYS,
        hidden=HIDDEN,
        modalities=("image",),
    )
    weight, bias = moment_classifier(material, none=True)
    one = torch.eye(DIRECTIONS)
    with torch.no_grad():
        for number, value in enumerate((torch.cat([one, -one]), torch.cat([one, -one], 1))):
            network.fusion.get_parameter(f"{number}.weight").copy_(value)
            network.fusion.get_parameter(f"{number}.bias").zero_()
        network.classifier.weight.copy_(weight[:-1])
        network.classifier.bias.copy_(bias[:-1])
    return network


def learn(
    network: nn.Module, joiner: Joiner, loss: Callable[[list[Track], Tensor, int], Tensor], seed: int
) -> None:
    """Train on joined sequences, the rate falling to 0."""
    rng = np.random.default_rng(seed)
    descent = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.01)
    falling = torch.optim.lr_scheduler.LambdaLR(descent, lambda update: 1 - update / UPDATES)
    network.train()
    for update in range(UPDATES):
        tracks = [joiner(rng) for _ in range(BATCH)]
        labels = torch.tensor([track.label for track in tracks])
        found = loss(tracks, labels, update)
        descent.zero_grad()
        found.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        descent.step()
        falling.step()
    network.eval()


def _batch(tracks: Sequence[Track]) -> SkimBatch:
    """The skimmer has one bank, called the image's, which here is of sound."""
    heard = [
        Track(t.audio, t.audio[:, :0], t.audio_valid, ~t.audio_valid, t.inside, t.label, t.hop)
        for t in tracks
    ]
    return collate([fixed_knots(track, 1) for track in heard])


@torch.inference_mode()
def _answers(files: Sequence[Track], answer: Callable[[Sequence[Track]], Tensor]) -> Scores:
    return torch.cat([answer(files[start : start + 50]) for start in range(0, len(files), 50)])

"""The clip classifier learnt from embeddings: projections, Psi and classes, averaged over moments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from training.config import Config, StudentConfig
from training.frozen.cache import VideoEmbeddings
from training.frozen.heads import Block, ClipHead
from training.frozen.logistic import scaled_loss
from training.frozen.pooling import pooled
from training.frozen.probe import Material, Streams
from training.learning.losses import class_loss
from training.models import Fusion

_WIDTH = 256
"""Directions of the embedding that are learnt from: those in which the training videos' moments vary most."""

_ROUNDS = 8
"""How often held-out videos are asked whether it has been long enough."""

_UPDATES = 30
"""Updates between two such questions."""

_BATCH, _MOMENTS = 48, 6
"""Videos an update, and moments of each."""

_AVERAGE = 0.98
"""Share of the mean weights that an update keeps: what is used is this mean, not the last weights."""

_DROPPED = 0.3
"""Share of the inputs that is dropped in training."""


@dataclass(frozen=True, slots=True)
class Directions:
    """An affine map of embeddings to fewer, standardised numbers.

    Attributes:
        weight: float64 [R, E].
        bias: float64 [R].
    """

    weight: Tensor
    bias: Tensor


def directions(videos: Sequence[VideoEmbeddings], modality: str, width: int = _WIDTH) -> Directions | None:
    """Return the principal directions of the videos' mean embeddings; None where the modality is absent."""
    means = pooled(videos, modality, "plain")
    means = means[~means.isnan().any(dim=1)]
    if not len(means):
        return None
    mean, spread = means.mean(dim=0), means.std(dim=0, correction=0)
    scale = 1 / (spread + 0.5 * spread.mean()).clamp(min=1e-12)
    rows = (means - mean) * scale
    if len(rows) < rows.shape[1]:
        # Of as many directions as there are videos, at most, without a matrix as large as the embedding.
        values, left = torch.linalg.eigh(rows @ rows.T)
        keep = values > values[-1].clamp(min=1e-12) * 1e-9
        values, basis = values[keep], (rows.T @ left[:, keep]) / values[keep].sqrt()
    else:
        values, basis = torch.linalg.eigh(rows.T @ rows)
    values, basis = (values / len(rows)).clamp(min=0)[-width:], basis[:, -width:]
    # Between the plain coordinates and white ones: small directions are noise, and large ones say less.
    lengths = (values + 0.1 * values.mean()).clamp(min=1e-12).pow(0.25)
    weight = (basis / lengths).T * scale
    return Directions(weight, -weight @ mean)


class AveragedClassifier(nn.Module):
    """Projections of reduced embeddings, Psi, and a classifier of Psi's mean over some moments."""

    def __init__(self, model: Mapping[str, int], sizes: Mapping[str, int], classes: int) -> None:
        super().__init__()
        self.streams = tuple(sizes)
        self.projections = nn.ModuleDict(
            {name: nn.Linear(size, model["features"]) for name, size in sizes.items()}
        )
        self.fusion = Fusion(model["features"], model["fusion"], len(sizes))
        self.dropped, self.dropout = nn.Dropout(_DROPPED), nn.Dropout(0.5)
        self.classifier = nn.Linear(model["features"], classes)

    def forward(self, moments: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Return logits [B, C] of M moments [B, M, R] a modality, and of bool [B], which have it."""
        features = [
            self.projections[name](self.dropped(moments[name])) * present[name][:, None, None]
            for name in self.streams
        ]
        logits: Tensor = self.classifier(self.dropout(self.fusion(*features).mean(dim=1)))
        return logits


@dataclass(frozen=True, slots=True)
class Averaged:
    """A trained clip classifier.

    Attributes:
        head: All of it, as a plan has it.
        held_out: float64 [V, C], logits of the training videos by networks that did not learn from them.
        loss: The mean loss of these, at their best temperature.
        how: How long it learnt, as data.
        fold_heads: Of every fold, what did not learn from its videos.
    """

    head: ClipHead
    held_out: Tensor
    loss: float
    how: Mapping[str, object]
    fold_heads: tuple[ClipHead, ...]


def fit_averaged(material: Material, streams: Streams, config: Config) -> Averaged:
    """Learn the clip classifier for as long as held-out videos gain by it; then from all videos so long."""
    # Directions and scales know no labels, so that those of all videos serve every fold.
    maps = {name: found for name in streams if (found := directions(material.videos, name)) is not None}
    draw = _Draw(material.videos, maps)
    curves = [
        _learn(material, draw, config, material.folds != fold, _ROUNDS)
        for fold in range(int(material.folds.max()) + 1)
    ]
    said = []
    for rounds in range(_ROUNDS):
        held_out = torch.zeros(material.labels.shape, dtype=torch.float64)
        for fold, heads in enumerate(curves):
            chosen = torch.nonzero(material.folds == fold)[:, 0]
            videos = [material.videos[number] for number in chosen.tolist()]
            held_out[chosen] = heads[rounds].scores(videos, material.factor)
        said.append(held_out)
    losses = [scaled_loss(logits, material.labels, several=material.several) for logits in said]
    best = int(np.argmin(losses))
    everybody = torch.ones(len(material.videos), dtype=torch.bool)
    head = _learn(material, draw, config, everybody, best + 1)[-1]
    how = {"updates": (best + 1) * _UPDATES}
    return Averaged(head, said[best], losses[best], how, tuple(heads[best] for heads in curves))


def _learn(material: Material, draw: _Draw, config: Config, allowed: Tensor, rounds: int) -> list[ClipHead]:
    """Learn from the allowed videos (bool [V]) alone; returns what was learnt after every round."""
    rows, labels = torch.nonzero(allowed)[:, 0].numpy(), material.labels
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        rng = np.random.default_rng(config.seed)
        sizes = {name: len(found.bias) for name, found in draw.maps.items()}
        model = {"features": config.model.features, "fusion": config.model.fusion}
        network = AveragedClassifier(model, sizes, labels.shape[1])
        mean = torch.optim.swa_utils.AveragedModel(network, avg_fn=_towards)
        optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.05)
        learnt = []
        for _ in range(rounds):
            for _ in range(_UPDATES):
                chosen = rng.choice(rows, min(_BATCH, len(rows)), replace=False)
                moments, present = draw(chosen, rng)
                loss = _loss(
                    network, moments, present, labels[chosen], config.student, several=material.several
                )
                optimiser.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                optimiser.step()
                mean.update_parameters(network)
            learnt.append(_head(mean.module, draw.maps))
    return learnt


def _towards(mean: Tensor, weight: Tensor, count: Tensor | int) -> Tensor:
    """Move the mean weights towards the present ones; at first quickly, to forget where they began."""
    share = min(_AVERAGE, (1 + int(count)) / (10 + int(count)))
    return torch.lerp(weight, mean, share)


class _Draw:
    """Draws moments of videos, of any view, as reduced embeddings."""

    def __init__(self, videos: Sequence[VideoEmbeddings], maps: Mapping[str, Directions]) -> None:
        self.maps = maps
        self._rows: dict[str, Tensor] = {}
        self._places: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        for name, found in maps.items():
            weight, bias = found.weight.float(), found.bias.float()
            rows, counts, views = [torch.zeros(1, len(bias))], [], []
            for video in videos:
                seen, valid = video.modality(name)
                rows.append((seen[:, valid].float() @ weight.T + bias).flatten(0, 1))
                counts.append(int(valid.sum()))
                views.append(len(seen))
            self._rows[name] = torch.cat(rows)
            sizes = np.array(counts) * np.array(views)
            # The first row is zero, and stands for whatever is not there.
            self._places[name] = 1 + np.cumsum(sizes) - sizes, np.array(counts), np.array(views)

    def __call__(
        self, chosen: np.ndarray, rng: np.random.Generator
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return moments [B, M, R] by modality, and which videos have it, bool [B]."""
        moments, present = {}, {}
        where, which = rng.random((len(chosen), _MOMENTS)), rng.random(len(chosen))
        for name, (firsts, counts, views) in self._places.items():
            count = counts[chosen][:, None]
            view = (which * views[chosen]).astype(np.int64)[:, None]
            rows = firsts[chosen][:, None] + view * count + (where * count).astype(np.int64)
            moments[name] = self._rows[name][torch.from_numpy(np.where(count, rows, 0))]
            present[name] = torch.from_numpy(counts[chosen] > 0)
        return moments, present


def _loss(
    network: AveragedClassifier,
    moments: Mapping[str, Tensor],
    present: Mapping[str, Tensor],
    labels: Tensor,
    settings: StudentConfig,
    *,
    several: bool,
) -> Tensor:
    """Return the classes' loss under modality dropout, as its expectation: of both, and of either alone."""
    dropped = {"image": settings.drop_image, "audio": settings.drop_audio}
    kept = 1 - sum(dropped.values()) if len(network.streams) > 1 else 1.0
    total = kept * class_loss(network(moments, present), labels, several, settings.label_smoothing).mean()
    for name in network.streams if len(network.streams) > 1 else ():
        (other,) = (stream for stream in network.streams if stream != name)
        rows = present[other]
        if dropped[name] and bool(rows.any()):
            alone = {name: torch.zeros_like(rows), other: rows}
            losses = class_loss(network(moments, alone), labels, several, settings.label_smoothing)
            total = total + dropped[name] * (losses * rows).sum() / len(rows)
    return total


def _head(network: nn.Module, maps: Mapping[str, Directions]) -> ClipHead:
    """Return a network as a head on embeddings, the reduction folded in."""
    state = {name: value.detach().double() for name, value in network.state_dict().items()}
    projections = {}
    for name, found in maps.items():
        weight, bias = state[f"projections.{name}.weight"], state[f"projections.{name}.bias"]
        projections[name] = (Block("plain", weight @ found.weight, weight @ found.bias + bias),)
    layers = [
        (state[f"{layer}.weight"].clone(), state[f"{layer}.bias"].clone())
        for layer in ("fusion.0", "fusion.1", "classifier")
    ]
    return ClipHead(projections, *layers)

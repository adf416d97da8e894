"""The linear probe: a regularised logistic regression on a video's mean embedding, the yardstick of heads.

It is exactly a plan of preset ``clip``: everything after the transform of a moment's embedding is linear, so
the mean over moments may be taken anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from training.frozen.cache import MODALITIES, VideoEmbeddings
from training.frozen.logistic import Reduced, choose_strength, fit, predict, scaled_loss
from training.frozen.pooling import pooled
from training.learning.temperature import fit_temperature

RATIOS = (0.1, 0.15, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 4.0, 6.0, 10.0)
"""Weights of the sound's logits beside the pictures', tried where both are fused late."""

_SIZES = (1.0, 0.5)
"""Sizes of the weaker modality's embedding beside the other's that are tried where they are joined."""

_LEAST_SPREAD = 0.5
"""Share of the mean deviation that is added to each: what hardly varies is noise, and is not scaled up."""

Streams = tuple[str, ...]
"""("image",), ("audio",) or both."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one modality says: logits ``weight @ transform(embedding) + bias``, 0 on average.

    Attributes:
        transform: Of a moment's embedding, see :data:`training.frozen.pooling.TRANSFORMS`.
        weight: float64 [C, E].
        bias: float64 [C].
    """

    transform: str
    weight: Tensor
    bias: Tensor

    def times(self, share: float) -> Part:
        """Return a part that counts ``share`` times as much."""
        return Part(self.transform, self.weight * share, self.bias * share)


@dataclass(frozen=True, slots=True)
class Probe:
    """The sum of the parts of the modalities that a video has, and a bias.

    Attributes:
        parts: By modality.
        bias: float64 [C]: what is said of a video of which nothing is known.
        how: How it was chosen, as data.
        held_out: float64 [V, C], logits of the training videos by fits that did not learn from them.
        loss: The mean loss of these, at their best temperature.
    """

    parts: Mapping[str, Part]
    bias: Tensor
    how: Mapping[str, object]
    held_out: Tensor
    loss: float

    @property
    def streams(self) -> Streams:
        """The modalities that it uses."""
        return tuple(self.parts)

    def scores(self, videos: Sequence[VideoEmbeddings], factor: int = 1) -> Tensor:
        """Return logits float64 [V, C]; an absent modality says nothing, as in a plan."""
        said = self.bias.expand(len(videos), -1).clone()
        for modality, part in self.parts.items():
            rows = pooled(videos, modality, part.transform, factor=factor)
            there = ~rows.isnan().any(dim=1)
            said[there] += rows[there] @ part.weight.T + part.bias
        return said


@dataclass(frozen=True, slots=True)
class Material:
    """What probes learn from.

    Attributes:
        videos: Their embeddings.
        labels: bool [V, C].
        folds: int64 [V], the fold of each.
        several: Whether a video may have several labels.
        factor: Every how many-th timestamp a plan will see: what is held out is seen so, and what is learnt
            from at every timestamp.
    """

    videos: Sequence[VideoEmbeddings]
    labels: Tensor
    folds: Tensor
    several: bool = False
    factor: int = 1


def fit_probes(material: Material) -> dict[Streams, Probe]:
    """Return the best probe of each modality that any video has, and of both.

    What can be chosen (the transform, the strength, how modalities are fused, whether the other views are
    learnt from) is chosen by cross-validation over ``material.folds``.

    Raises:
        ValueError: If no video has anything.
    """
    singles = {name: _fit_single(material, name) for name in MODALITIES if _present(material, name)}
    if not singles:
        raise ValueError("there is neither picture nor sound to learn from")
    probes: dict[Streams, Probe] = {(name,): probe for name, probe in singles.items()}
    if len(singles) > 1:
        joined, late = _fit_joined(material, singles), _fuse(material, singles)
        mixed = _mixed(material, joined, late)
        probes[MODALITIES] = min(joined, late, mixed, key=lambda probe: probe.loss)
    return probes


def _present(material: Material, modality: str) -> bool:
    return any(bool(video.modality(modality)[1].any()) for video in material.videos)


@dataclass(frozen=True, slots=True)
class _Scaled:
    """Standardised inputs float64 [V, E], 0 where absent; ``inputs = (rows - mean) * scale``."""

    inputs: Tensor
    mean: Tensor
    scale: Tensor
    transform: str

    def of(self, rows: Tensor) -> Tensor:
        """Standardise other rows alike."""
        return torch.nan_to_num((rows - self.mean) * self.scale)


def _scaled(rows: Tensor, transform: str, size: float = 1.0) -> _Scaled:
    """Standardise rows [V, E]; the root of their mean square length is ``size`` afterwards."""
    there = rows[~rows.isnan().any(dim=1)]
    mean, spread = there.mean(dim=0), there.std(dim=0, correction=0)
    scale = 1 / (spread + _LEAST_SPREAD * spread.mean()).clamp(min=1e-12)
    length = ((there - mean) * scale).square().sum(dim=1).mean().sqrt().clamp(min=1e-12)
    scale = scale * size / length
    return _Scaled(torch.nan_to_num((rows - mean) * scale), mean, scale, transform)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A regression on some inputs: weights [E + 1, C], what it says of the held-out, and how it came."""

    weights: Tensor
    held_out: Tensor
    loss: float
    how: Mapping[str, object]


def _regress(material: Material, blocks: Sequence[_Scaled], modalities: Streams) -> _Fitted:
    """Fit one regression on the inputs of one modality or of both side by side."""
    several, labels = material.several, material.labels
    inputs = torch.cat([block.inputs for block in blocks], dim=1)
    reduced = Reduced.of(inputs)
    seen = torch.cat(_again(material, blocks, modalities, factor=material.factor), dim=1)
    chosen = choose_strength(
        reduced.rows, labels, material.folds, several=several, tested=seen @ reduced.basis
    )
    every = torch.ones(1, len(inputs), dtype=inputs.dtype)
    weights = fit(reduced.rows, labels, every, chosen.strength, several=several)[0]
    weights = torch.cat([reduced.basis @ weights[:-1], weights[-1:]])
    how = {"strength": chosen.strength, "views": 1}
    return _Fitted(weights, chosen.held_out, chosen.loss, how)


def _again(
    material: Material, blocks: Sequence[_Scaled], modalities: Streams, *, factor: int = 1, view: int = 0
) -> list[Tensor]:
    """Return the inputs of the same videos, seen otherwise."""
    return [
        block.of(pooled(material.videos, name, block.transform, factor=factor, view=view))
        for block, name in zip(blocks, modalities, strict=True)
    ]


def _with_views(material: Material, blocks: Sequence[_Scaled], streams: Streams, found: _Fitted) -> _Fitted:
    """Learn from every view of a video as from a video of its own, if held-out videos are told better so."""
    views = max(len(video.image) for video in material.videos) if "image" in streams else 1
    if views == 1:
        return found
    strength = float(str(found.how["strength"]))
    rows = torch.cat([torch.cat(_again(material, blocks, streams, view=v), dim=1) for v in range(views)])
    labels, folds = material.labels.repeat(views, 1), material.folds.repeat(views)
    count = int(folds.max()) + 1
    shares = (folds != torch.arange(count)[:, None]).to(rows.dtype)
    seen = torch.cat(_again(material, blocks, streams, factor=material.factor), dim=1)
    weights = fit(rows, labels, shares, strength, several=material.several)
    said = predict(seen, weights)[material.folds, torch.arange(len(seen))]
    loss = scaled_loss(said, material.labels, several=material.several)
    if loss >= found.loss:
        return found
    every = torch.ones(1, len(rows), dtype=rows.dtype)
    weights = fit(rows, labels, every, strength, several=material.several)
    return _Fitted(weights[0], said, loss, {**found.how, "views": views})


def _probe(blocks: Sequence[_Scaled], streams: Streams, found: _Fitted) -> Probe:
    """Fold the standardisation into the weights, a modality at a time."""
    parts, first = {}, 0
    for block, name in zip(blocks, streams, strict=True):
        weight = found.weights[first : first + len(block.mean)].T * block.scale
        parts[name] = Part(block.transform, weight, -weight @ block.mean)
        first += len(block.mean)
    transforms = {name: block.transform for name, block in zip(streams, blocks, strict=True)}
    how = {"transform": transforms, **found.how}
    return Probe(parts, found.weights[-1], how, found.held_out, found.loss)


def _fit_single(material: Material, modality: str) -> Probe:
    """Return the probe of one modality, with the transform that suits it."""
    best: tuple[_Scaled, _Fitted] | None = None
    for transform in ("plain", "root"):
        block = _scaled(pooled(material.videos, modality, transform), transform)
        found = _regress(material, [block], (modality,))
        if best is None or found.loss < best[1].loss:
            best = block, found
    assert best is not None  # there are transforms
    block, found = best
    return _probe([block], (modality,), _with_views(material, [block], (modality,), found))


def _fit_joined(material: Material, singles: Mapping[str, Probe]) -> Probe:
    """Return one regression on both embeddings side by side, the weaker modality's made smaller or not."""
    streams = tuple(singles)
    weaker = max(streams, key=lambda name: singles[name].loss)
    best: Probe | None = None
    for share in _SIZES:
        blocks = []
        for name, probe in singles.items():
            transform = probe.parts[name].transform
            rows = pooled(material.videos, name, transform)
            blocks.append(_scaled(rows, transform, share if name == weaker else 1.0))
        found = _probe(blocks, streams, _regress(material, blocks, streams))
        if best is None or found.loss < best.loss:
            best = replace(found, how={"fusion": "joined", "size": {weaker: share}, **found.how})
    assert best is not None  # there are sizes
    return best


def _mixed(material: Material, joined: Probe, late: Probe) -> Probe:
    """Return the mean of what two probes of the same transforms say, each as sure as it may be."""
    target = material.labels if material.several else material.labels.int().argmax(dim=1)
    shares = [1 / fit_temperature(probe.held_out.float(), target) for probe in (joined, late)]
    parts = {}
    for name in joined.parts:
        one, other = (p.parts[name].times(s) for p, s in zip((joined, late), shares, strict=True))
        parts[name] = Part(one.transform, one.weight + other.weight, one.bias + other.bias)
    held_out = shares[0] * joined.held_out + shares[1] * late.held_out
    loss = scaled_loss(held_out, material.labels, several=material.several)
    how = {"fusion": "joined and late", "joined": joined.how, "late": late.how}
    return Probe(parts, shares[0] * joined.bias + shares[1] * late.bias, how, held_out, loss)


def _fuse(material: Material, singles: Mapping[str, Probe]) -> Probe:
    """Return the weighted sum of both modalities' logits: the product of what they say."""
    image, audio = singles["image"], singles["audio"]
    best: Probe | None = None
    for ratio in RATIOS:
        said = image.held_out + ratio * audio.held_out
        loss = scaled_loss(said, material.labels, several=material.several)
        if best is None or loss < best.loss:
            parts = {"image": image.parts["image"], "audio": audio.parts["audio"].times(ratio)}
            how = {"fusion": "late", "ratio": ratio, "image": image.how, "audio": audio.how}
            best = Probe(parts, image.bias + ratio * audio.bias, how, said, loss)
    assert best is not None  # there are ratios
    return best

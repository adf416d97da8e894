"""Skimmers tried by cross-validation on projected embeddings, each for a few updates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import torch
from torch import Tensor

from training.config import Config
from training.frozen.averaged import Averaged
from training.frozen.cache import VideoEmbeddings
from training.frozen.heads import ClipHead
from training.frozen.probe import Material
from training.learning.learner import Learner
from training.models import SkimmingNetwork
from training.runs.seeds import seed_everything
from training.skimming.features import VideoFeatures
from training.skimming.measure import skim_tracks
from training.skimming.sequences import Track, to_sequences
from training.skimming.sources import Source
from training.skimming.train import skimming_loss

LEAST_MOMENTS = 40
"""Timestamps of the median video below which skimming is not tried: of 20 s, all may as well be looked at."""

MOST_UPDATES = 300
"""Updates of a skimmer that is tried."""


def skimmed(config: Config, material: Material, averaged: Averaged, preset: str) -> Tensor | str:
    """Return what skimmers say of the videos that they did not learn from: logits float64 [V, C].

    Each fold's skimmer starts from the clip classifier of that fold, as the plan's starts from the plan's.

    Returns:
        The logits; or why this preset is not tried.
    """
    moments = median(len(video) for video in material.videos)
    if moments < LEAST_MOMENTS:
        return f"half of the videos are no longer than {moments * material.videos[0].hop:.0f} s"
    streams = averaged.head.streams
    if preset == "paired" and len(streams) < 2:
        return "it joins pictures and sound, and only one of them is used"
    settings = replace(
        config.skim,
        preset=preset,
        modalities=streams,
        updates=min(MOST_UPDATES, config.skim.updates),
    )
    config = replace(config, skim=settings)
    said = torch.zeros(material.labels.shape, dtype=torch.float64)
    classes = tuple(str(number) for number in range(material.labels.shape[1]))
    for fold, head in enumerate(averaged.fold_heads):
        tracks = project(head, material.videos, material.labels, classes)
        held = torch.nonzero(material.folds == fold)[:, 0].tolist()
        learnt = [track for number, track in enumerate(tracks) if number not in set(held)]
        skimmer = _train(config, head, learnt, len(classes))
        tested = [tracks[number] for number in held]
        said[held] = skim_tracks(skimmer, tested, settings.steps, config.factor).logits[:, -1].double()
    return said


def project(
    head: ClipHead, videos: Sequence[VideoEmbeddings], labels: Tensor, classes: Sequence[str]
) -> list[Track]:
    """Return videos as the skimmer sees them: features z of every moment."""
    found = []
    for video, own in zip(videos, labels, strict=True):
        rows = {}
        for name in ("image", "audio"):
            views, valid = video.modality(name)
            there = name in head.streams
            z = head.project(name, views[0].double()) if there else torch.zeros(len(video), head.size)
            rows[name] = z.float() * valid[:, None], valid if there else torch.zeros_like(valid)
        named = replace(video.video, labels=tuple(n for n, true in zip(classes, own, strict=True) if true))
        (image, image_valid), (audio, audio_valid) = rows["image"], rows["audio"]
        found.append(VideoFeatures(named, image, audio, image_valid, audio_valid, video.hop))
    return to_sequences(found, classes)


def _train(config: Config, head: ClipHead, tracks: Sequence[Track], classes: int) -> SkimmingNetwork:
    """Train a skimmer that starts from a clip classifier's Psi and classes."""
    settings, model = config.skim, config.model
    source = Source(tracks, classes, settings, seed=config.seed)
    with torch.random.fork_rng(devices=[]):
        seed_everything(config.seed)
        skimmer = SkimmingNetwork(
            classes,
            features=head.size,
            fusion=len(head.hidden[1]),
            keys=model.keys,
            hidden=model.hidden,
            preset=settings.preset,
            modalities=head.streams,
        )
        begin = {"fusion.0": head.hidden, "fusion.1": head.output, "classifier": head.classifier}
        for name, (weight, bias) in begin.items():
            state = {"weight": weight.float(), "bias": bias.float()}
            skimmer.get_submodule(name).load_state_dict(state)
        learner = Learner(
            skimmer,
            rate=settings.rate,
            weight_decay=settings.weight_decay,
            updates=settings.updates,
            warm_up=0.1,
            clip=1.0,
            precision="fp32",
        )
        skimmer.train()
        for update in range(settings.updates):
            learner.learn(skimming_loss(skimmer, source, update, settings, learner))
    return skimmer.eval()

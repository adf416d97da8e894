"""Trains the skimmer on cached features (paper 3.3): cross-entropy on video labels, nothing else."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor
from torch.nn import functional

from l2l_engine.plan import MediaSettings
from training.config import Config, ModelConfig, SkimConfig, to_plain
from training.features import extract_features
from training.finetune import load_student, student_path
from training.learner import Learner
from training.models import SkimBatch, SkimmingNetwork, SkimOutput, Student
from training.runs import Checkpoint, file_fingerprint, seed_everything, write_atomically, write_json
from training.sequences import (
    Knotted,
    Recombiner,
    Track,
    collate,
    draw_density,
    draw_knots,
    fixed_knots,
    to_sequences,
    truth,
)

HOP = MediaSettings().hop


def build_skimmer(model: ModelConfig, classes: int) -> SkimmingNetwork:
    """A skimmer of the configured sizes."""
    return SkimmingNetwork(
        classes, features=model.features, fusion=model.fusion, keys=model.keys, hidden=model.hidden
    )


def start_from(skimmer: SkimmingNetwork, student: Student) -> None:
    """Psi and the classifier begin as the student's (paper: the same fusion network)."""
    skimmer.fusion.load_state_dict(student.fusion.state_dict())
    skimmer.classifier.load_state_dict(student.classifier.state_dict())


def skimmer_path(config: Config) -> Path:
    """Where the skimmer's weights are."""
    return config.folder("skim", "skimmer.safetensors")


def load_skimmer(config: Config, classes: int) -> SkimmingNetwork:
    """The trained skimmer in evaluation mode."""
    skimmer = build_skimmer(config.model, classes)
    skimmer.load_state_dict(load_file(skimmer_path(config)))
    return skimmer.eval()


def load_tracks(config: Config, names: Sequence[str], classes: Sequence[str]) -> list[Track]:
    """The cached features of some sets."""
    return to_sequences(extract_features(config, names), classes, HOP)


def train_skimmer(config: Config) -> dict[str, float]:
    """Train the skimmer, or continue where a killed run stopped.

    Returns:
        Metrics on the validation set.
    """
    torch.set_num_threads(config.threads)
    settings = {
        "model": to_plain(config.model),
        "skim": to_plain(config.skim),
        "student": file_fingerprint(student_path(config)),
        "seed": config.seed,
        "factor": config.factor,
    }
    checkpoint = Checkpoint(config.folder("skim"), settings)
    state = checkpoint.load()
    student, classes = load_student(config)
    source = Source(load_tracks(config, config.skim.train, classes), config)
    validation = load_tracks(config, config.skim.validation, classes)
    seed_everything(config.seed)
    skimmer = build_skimmer(config.model, len(classes))
    start_from(skimmer, student)
    learner = Learner(
        skimmer,
        rate=config.skim.rate,
        weight_decay=config.skim.weight_decay,
        updates=config.skim.updates,
        warm_up=0.1,
        clip=1.0,
    )
    learner.restore(state)
    while learner.done < config.skim.updates:
        start = time.monotonic()
        loss = _updates(skimmer, learner, source)
        metrics = measure(skimmer, validation, config.skim.steps, config.factor)
        seconds = time.monotonic() - start
        checkpoint.log({"update": learner.done, "loss": loss, "seconds": seconds} | metrics)
        checkpoint.save(learner.state())
    metrics = measure(skimmer, validation, config.skim.steps, config.factor)
    metrics |= {"dense": dense_accuracy(student, validation)}
    path = skimmer_path(config)
    write_atomically(path, lambda file: file.write(save(skimmer.state_dict())))
    write_json(path.with_name("metrics.json"), metrics)
    return metrics


class Source:
    """Draws training batches; the same update draws the same batch in every run."""

    def __init__(self, tracks: Sequence[Track], config: Config) -> None:
        self._tracks, self._settings, self._seed = tracks, config.skim, config.seed
        self._recombine = Recombiner(tracks)

    @property
    def settings(self) -> SkimConfig:
        """The skimmer's settings."""
        return self._settings

    def draw(self, update: int) -> tuple[SkimBatch, Tensor]:
        """The banks and labels of one update."""
        rng = seed_everything(self._seed, update)
        density = draw_density(rng, self._settings)
        items: list[Knotted] = []
        while len(items) < self._settings.batch:
            if rng.random() < self._settings.recombine:
                track = self._recombine(rng)
            else:
                track = self._tracks[int(rng.integers(len(self._tracks)))]
            items.append(draw_knots(rng, track, density, self._settings))
        batch = collate(items, HOP)
        # Features of the training set are a little too good; noise of their own scale blurs them.
        batch.image = _blur(batch.image, self._settings.noise)
        batch.audio = _blur(batch.audio, self._settings.noise)
        return batch, truth(items)[0]


def _blur(bank: Tensor, noise: float) -> Tensor:
    return bank + noise * bank.abs().mean() * torch.randn_like(bank) * (bank.abs().sum(2, keepdim=True) > 0)


def skim_loss(skimmer: SkimmingNetwork, output: SkimOutput, labels: Tensor, settings: SkimConfig) -> Tensor:
    """Cross-entropy after T steps, and with less weight after 2 to T-1: stopping early must work too."""
    logits = skimmer.step_logits(output)[:, 1:]
    if logits.shape[1] == 0:
        logits = output.logits[:, None]
    steps = logits.shape[1]
    losses = functional.cross_entropy(
        logits.flatten(0, 1),
        labels.repeat_interleave(steps),
        reduction="none",
        label_smoothing=settings.label_smoothing,
    )
    per_step = losses.view(-1, steps).mean(dim=0)
    return per_step[-1] + settings.early_weight * per_step[:-1].sum() / max(1, steps - 1)


def block_votes(count: int, steps: int, share: float) -> Tensor:
    """Which modality loses its vote at which step: bool [B, T, 2].

    Eq. 8 lets one modality choose for both, and then the other's attention learns nothing. Steps at which one
    must choose alone teach both where the action is.
    """
    chosen = torch.rand(count, steps) < share
    loser = torch.rand(count, steps) < 0.5
    return torch.stack([chosen & loser, chosen & ~loser], dim=2)


def _updates(skimmer: SkimmingNetwork, learner: Learner, source: Source) -> float:
    """Learn until the next checkpoint is due; returns the mean loss."""
    settings = source.settings
    skimmer.train()
    losses = []
    early = min(settings.early_steps, settings.steps)
    for update in range(learner.done, min(learner.done + settings.checkpoint_every, settings.updates)):
        batch, labels = source.draw(update)
        steps = settings.steps if update % 3 == 0 else early
        share = float(np.interp(update / settings.updates, (0, 1), settings.block_vote))
        output = skimmer(batch, steps, block_votes(len(labels), steps, share))
        losses.append(learner.learn(skim_loss(skimmer, output, labels, settings)))
    learner.done += len(losses)
    return float(torch.stack(losses).mean())


@dataclass(slots=True)
class Skimmed:
    """What the skimmer says about a set: logits [V, T, C] after each step, labels, attention ratios."""

    logits: Tensor
    labels: Tensor
    look_ratio: list[float]
    listen_ratio: list[float]


@torch.inference_mode()
def skim_tracks(skimmer: SkimmingNetwork, tracks: Sequence[Track], steps: int, factor: int) -> Skimmed:
    """Skim whole videos at every ``factor``-th timestamp."""
    skimmer.eval()
    logits, look, listen = [], [], []
    for start in range(0, len(tracks), 32):
        items = [fixed_knots(track, factor) for track in tracks[start : start + 32]]
        output = skimmer(collate(items, HOP), steps)
        inside = truth(items)[1]
        logits.append(skimmer.step_logits(output))
        for number, item in enumerate(items):
            n = len(item.track)
            if len(item.image_knots):
                look.append(attention_ratio(output.image_attention[number, :-1, :n], inside[number, :n]))
            if len(item.audio_knots):
                listen.append(attention_ratio(output.audio_attention[number, :-1, :n], inside[number, :n]))
    labels = torch.tensor([track.label for track in tracks])
    return Skimmed(torch.cat(logits), labels, look, listen)


def attention_ratio(attention: Tensor, inside: Tensor) -> float:
    """Attention [T-1, N] inside the action, over the action's share of the timestamps."""
    if len(attention) == 0 or not inside.any():
        return math.nan
    return float(attention[:, inside].sum(dim=1).mean() / inside.float().mean())


def measure(skimmer: SkimmingNetwork, tracks: Sequence[Track], steps: int, factor: int) -> dict[str, float]:
    """Top-1 after 3 and all steps, and the median attention ratios."""
    skimmed = skim_tracks(skimmer, tracks, steps, factor)
    right = (skimmed.logits.argmax(dim=2) == skimmed.labels[:, None]).float().mean(dim=0)
    return {
        "top1": float(right[-1]),
        "top1_3_steps": float(right[min(2, steps - 1)]),
        "look_ratio": float(np.nanmedian(skimmed.look_ratio)),
        "listen_ratio": float(np.nanmedian(skimmed.listen_ratio)),
    }


@torch.inference_mode()
def dense_accuracy(student: Student, tracks: Sequence[Track]) -> float:
    """DENSE: the student's class scores averaged over all timestamps."""
    right = 0
    for track in tracks:
        scores = student.classify(track.image, track.audio * track.audio_valid[:, None]).softmax(dim=1)
        right += int(scores.mean(dim=0).argmax()) == track.label
    return right / len(tracks)

"""Trains the skimmer on cached features (paper 3.3): the classes' loss on video labels, nothing else."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from l2l_engine.plan import MediaSettings
from training.clips.students import load_student, student_path
from training.config import Config, SkimConfig, to_plain
from training.learning.learner import Learner
from training.learning.losses import class_loss
from training.learning.scores import Scored, mean_average_precision
from training.models import SkimmingNetwork, SkimOutput, Student
from training.runs.checkpoint import Checkpoint, save_network
from training.runs.files import file_fingerprint
from training.runs.seeds import seed_everything
from training.skimming.features import extract_features
from training.skimming.sequences import Track, collate, fixed_knots, targets, to_sequences, truth
from training.skimming.sources import Source

HOP = MediaSettings().hop
FOLDER = "skim"
WEIGHTS = "skimmer.safetensors"


def build_skimmer(config: Config, classes: int) -> SkimmingNetwork:
    """A skimmer of the configured kind and sizes."""
    model = config.model
    return SkimmingNetwork(
        classes,
        features=model.features,
        fusion=model.fusion,
        keys=model.keys,
        hidden=model.hidden,
        preset=config.skim.preset,
        modalities=config.skim.modalities,
    )


def start_from(skimmer: SkimmingNetwork, student: Student) -> None:
    """Psi and the classifier begin as the student's (paper: the same fusion network).

    A visual-only skimmer takes what the student does with a picture and no sound.
    """
    weights = student.fusion.state_dict()
    weights["0.weight"] = weights["0.weight"][:, : skimmer.fusion[0].in_features]
    skimmer.fusion.load_state_dict(weights)
    skimmer.classifier.load_state_dict(student.classifier.state_dict())


def skimmer_path(config: Config, folder: str = FOLDER) -> Path:
    """Where the skimmer's weights are."""
    return config.folder(folder, WEIGHTS)


def load_skimmer(config: Config, classes: int, folder: str = FOLDER) -> SkimmingNetwork:
    """The trained skimmer in evaluation mode."""
    skimmer = build_skimmer(config, classes)
    skimmer.load_state_dict(load_file(skimmer_path(config, folder)))
    return skimmer.eval()


@dataclass(frozen=True, slots=True)
class Material:
    """What a network over whole videos is trained with.

    Attributes:
        student: Whose fusion and classifier it starts from.
        classes: C names.
        source: Draws training batches.
        validation: The videos of the validation sets.
    """

    student: Student
    classes: tuple[str, ...]
    source: Source
    validation: list[Track]


def load_material(config: Config) -> Material:
    """The student, and the cached features of the sets that ``config.skim`` names."""
    settings = config.skim
    student, classes = load_student(config)
    source = Source(
        load_tracks(config, settings.train, classes), len(classes), settings, seed=config.seed, hop=HOP
    )
    return Material(student, classes, source, load_tracks(config, settings.validation, classes))


def load_tracks(config: Config, names: Sequence[str], classes: Sequence[str]) -> list[Track]:
    """The cached features of some sets."""
    return to_sequences(extract_features(config, names), classes, HOP)


def train_skimmer(config: Config, folder: str = FOLDER) -> dict[str, float]:
    """Train the skimmer, or continue where a killed run stopped.

    Args:
        config: The run.
        folder: Where the skimmer goes, within the run's.

    Returns:
        Metrics on the validation set.
    """
    torch.set_num_threads(config.threads)
    settings, factor = config.skim, config.factor
    checkpoint = Checkpoint(config.folder(folder), skim_settings(config))
    state = checkpoint.load()
    material = load_material(config)
    student, validation = material.student, material.validation
    seed_everything(config.seed)
    skimmer = build_skimmer(config, len(material.classes))
    start_from(skimmer, student)

    def loss(update: int, learner: Learner) -> Tensor:
        return skimming_loss(skimmer, material.source, update, settings, learner)

    def measure_all() -> dict[str, float]:
        return measure(skimmer, validation, settings.steps, factor, several=settings.several)

    fit(skimmer, checkpoint, state, settings, loss=loss, measure=measure_all)
    metrics = measure_all() | {"dense": dense_accuracy(student, validation, several=settings.several)}
    save_network(skimmer_path(config, folder), skimmer, metrics=metrics)
    return metrics


def skim_settings(config: Config) -> dict[str, Any]:
    """What a training on features depends on."""
    return {
        "model": to_plain(config.model),
        "skim": to_plain(config.skim),
        "student": file_fingerprint(student_path(config)),
        "seed": config.seed,
        "factor": config.factor,
    }


def fit(
    network: nn.Module,
    checkpoint: Checkpoint,
    state: dict[str, Any] | None,
    settings: SkimConfig,
    *,
    loss: Callable[[int, Learner], Tensor],
    measure: Callable[[], dict[str, float]],
) -> None:
    """Train ``network`` for the configured updates, or go on where a killed run stopped.

    Args:
        state: What the checkpoint holds.
        loss: The loss of an update, from its number.
        measure: Metrics at every checkpoint.

    Raises:
        DivergedError: If the loss is no longer a number; the checkpoint is the last one before that.
    """
    learner = Learner(
        network,
        rate=settings.rate,
        weight_decay=settings.weight_decay,
        updates=settings.updates,
        warm_up=0.1,
        clip=1.0,
        precision="fp32",  # the sums are long and the matrices small
    )
    learner.restore(state)
    while learner.done < settings.updates:
        start, end = time.monotonic(), min(learner.done + settings.checkpoint_every, settings.updates)
        network.train()
        losses = [learner.learn(loss(update, learner)) for update in range(learner.done, end)]
        learner.done = end
        line = {"update": end, "loss": learner.mean(losses)}
        network.eval()
        checkpoint.log(line | measure() | {"seconds": time.monotonic() - start})
        checkpoint.save(learner.state())
    network.eval()


def skimming_loss(
    skimmer: SkimmingNetwork, source: Source, update: int, settings: SkimConfig, learner: Learner
) -> Tensor:
    """The loss of one update's batch: every third one takes all steps, the others the early ones."""
    batch, labels = source.draw(update)
    steps = settings.steps if update % 3 == 0 else min(settings.early_steps, settings.steps)
    share = float(np.interp(update / settings.updates, (0, 1), settings.block_vote))
    labels, blocked = learner.place(labels, block_votes(len(labels), steps, share))
    return skim_loss(skimmer, skimmer(batch.to(learner.device), steps, blocked), labels, settings)


def skim_loss(skimmer: SkimmingNetwork, output: SkimOutput, labels: Tensor, settings: SkimConfig) -> Tensor:
    """The classes' loss after T steps, and with less weight after 2 to T-1: stopping early must work too.

    Args:
        labels: bool [B, C].
    """
    logits = skimmer.step_logits(output)[:, 1:]
    if logits.shape[1] == 0:
        logits = output.logits[:, None]
    steps = logits.shape[1]
    losses = class_loss(
        logits.flatten(0, 1),
        labels.repeat_interleave(steps, dim=0),
        settings.several,
        settings.label_smoothing,
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
    device = next(skimmer.parameters()).device
    logits, look, listen = [], [], []
    for start in range(0, len(tracks), 32):
        items = [fixed_knots(track, factor) for track in tracks[start : start + 32]]
        output = skimmer(collate(items, HOP).to(device), steps)
        inside = truth(items)[1].to(device)
        logits.append(skimmer.step_logits(output).cpu())
        for number, item in enumerate(items):
            n = len(item.track)
            if len(item.image_knots):
                look.append(attention_ratio(output.image_attention[number, :-1, :n], inside[number, :n]))
            if len(item.audio_knots) and "audio" in skimmer.modalities:
                listen.append(attention_ratio(output.audio_attention[number, :-1, :n], inside[number, :n]))
    labels = torch.tensor([track.label for track in tracks])
    return Skimmed(torch.cat(logits), labels, look, listen)


def attention_ratio(attention: Tensor, inside: Tensor) -> float:
    """Attention [T-1, N] inside the action, over the action's share of the timestamps."""
    if len(attention) == 0 or not inside.any():
        return math.nan
    return float(attention[:, inside].sum(dim=1).mean() / inside.float().mean())


def measure(
    skimmer: SkimmingNetwork, tracks: Sequence[Track], steps: int, factor: int, *, several: bool = False
) -> dict[str, float]:
    """Top-1 (with several labels: mAP too) after 3 and all steps, and the median attention ratios."""
    skimmed = skim_tracks(skimmer, tracks, steps, factor)
    early = min(2, steps - 1)
    metrics = {}
    for name, logits in (("", skimmed.logits[:, -1]), ("_3_steps", skimmed.logits[:, early])):
        quality = rate(logits, tracks, several=several)
        metrics |= {f"{key}{name}": value for key, value in quality.items()}
    for name, ratios in (("look_ratio", skimmed.look_ratio), ("listen_ratio", skimmed.listen_ratio)):
        known = [ratio for ratio in ratios if not math.isnan(ratio)]
        if known:
            metrics[name] = float(np.median(known))
    return metrics


def rate(scores: Tensor, tracks: Sequence[Track], *, several: bool = False) -> dict[str, float]:
    """How often the greatest of C scores [V, C] is at a label, and with several labels the mAP."""
    labels = targets(tracks, scores.shape[1])
    right = labels.gather(1, scores.argmax(dim=1, keepdim=True)).float().mean()
    if not several:
        return {"top1": float(right)}
    scored = Scored(scores.numpy(), labels.numpy())
    return {"top1": float(right), "map": mean_average_precision(scored)}


@torch.inference_mode()
def dense_accuracy(student: Student, tracks: Sequence[Track], *, several: bool = False) -> float:
    """Top-1 of DENSE: the student's class scores averaged over all timestamps."""
    means = []
    for track in tracks:
        logits = student.classify(track.image, track.audio * track.audio_valid[:, None])
        means.append((logits.sigmoid() if several else logits.softmax(dim=1)).mean(dim=0))
    return rate(torch.stack(means), tracks)["top1"]

"""Trains the skimmer on cached features (paper 3.3): the classes' loss on video labels, nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from training.clips.students import load_student, student_path
from training.config import Config, SkimConfig, to_plain
from training.learning.learner import Learner
from training.learning.losses import class_loss
from training.models import SkimmingNetwork, SkimOutput, Student
from training.runs.checkpoint import Checkpoint, save_network
from training.runs.files import file_fingerprint
from training.runs.seeds import seed_everything
from training.skimming.build import FOLDER, build_skimmer, skimmer_path, start_from
from training.skimming.features import extract_features
from training.skimming.measure import dense_accuracy, measure
from training.skimming.sequences import Track, to_sequences
from training.skimming.sources import Source

_Network = TypeVar("_Network", bound=nn.Module)


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
    """Return the student, and the cached features of the sets that ``config.skim`` names."""
    settings = config.skim
    student, classes = load_student(config)
    tracks = to_sequences(extract_features(config, settings.train), classes)
    validation = to_sequences(extract_features(config, settings.validation), classes)
    return Material(student, classes, Source(tracks, len(classes), settings, seed=config.seed), validation)


def train_skimmer(config: Config, folder: str = FOLDER) -> dict[str, float]:
    """Train the skimmer, or continue where a killed run stopped.

    Args:
        config: The run.
        folder: Where the skimmer goes, within the run's.

    Returns:
        Metrics on the validation set.
    """
    settings = config.skim

    def build(material: Material) -> SkimmingNetwork:
        skimmer = build_skimmer(config, len(material.classes))
        start_from(skimmer, material.student)
        return skimmer

    def loss(skimmer: SkimmingNetwork, source: Source, update: int, learner: Learner) -> Tensor:
        return skimming_loss(skimmer, source, update, settings, learner)

    def measure_it(skimmer: SkimmingNetwork, tracks: list[Track]) -> dict[str, float]:
        return measure(skimmer, tracks, settings.steps, config.factor, several=settings.several)

    skimmer, material = train_on_features(
        config, folder, skim_settings(config), build=build, loss=loss, measure=measure_it
    )
    dense = dense_accuracy(material.student, material.validation, several=settings.several)
    metrics = measure_it(skimmer, material.validation) | {"dense": dense}
    save_network(skimmer_path(config, folder), skimmer, metrics=metrics)
    return metrics


def train_on_features(
    config: Config,
    folder: str,
    depends_on: dict[str, Any],
    *,
    build: Callable[[Material], _Network],
    loss: Callable[[_Network, Source, int, Learner], Tensor],
    measure: Callable[[_Network, list[Track]], dict[str, float]],
) -> tuple[_Network, Material]:
    """Train any network over whole videos, or continue where a killed run stopped.

    Args:
        config: The run.
        folder: Where its checkpoint is, within the run's.
        depends_on: The settings to which the checkpoint is tied.
        build: Makes the network, once everything is seeded.
        loss: The loss of an update, from its number.
        measure: Metrics on the validation set, at every checkpoint.

    Returns:
        The trained network, and what it was trained with.
    """
    torch.set_num_threads(config.threads)
    checkpoint = Checkpoint(config.folder(folder), depends_on)
    state = checkpoint.load()
    material = load_material(config)
    seed_everything(config.seed)
    network = build(material)
    fit(
        network,
        checkpoint,
        state,
        config.skim,
        loss=lambda update, learner: loss(network, material.source, update, learner),
        measure=lambda: measure(network, material.validation),
    )
    return network, material


def skim_settings(config: Config) -> dict[str, Any]:
    """Return what a training on features depends on."""
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
    """Return the loss of one update's batch: every third one takes all steps, the others the early ones."""
    batch, labels = source.draw(update)
    steps = settings.steps if update % 3 == 0 else min(settings.early_steps, settings.steps)
    share = float(np.interp(update / settings.updates, (0, 1), settings.block_vote))
    labels, blocked = learner.place(labels, block_votes(len(labels), steps, share))
    return skim_loss(skimmer, skimmer(batch.to(learner.device), steps, blocked), labels, settings)


def skim_loss(skimmer: SkimmingNetwork, output: SkimOutput, labels: Tensor, settings: SkimConfig) -> Tensor:
    """Return the classes' loss after T steps, and with less weight after 2 to T-1, where one may stop.

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
    """Return which modality loses its vote at which step: bool [B, T, 2].

    Eq. 8 lets one modality choose for both, and then the other's attention learns nothing. Steps at which one
    must choose alone teach both where the action is.
    """
    chosen = torch.rand(count, steps) < share
    loser = torch.rand(count, steps) < 0.5
    return torch.stack([chosen & loser, chosen & ~loser], dim=2)

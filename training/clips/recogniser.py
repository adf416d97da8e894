"""Trains the recogniser on clips of the target: a frame network of its own, or the teacher (paper 4.2)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from l2l_engine.plan import RecogniserSettings
from training.clips.augment import augment_images, crop_images
from training.clips.pairs import FRAMES, RATE, Pairs, PairSets, clip_side, load_pairs
from training.clips.teach import clip_pairs, load_teacher, published, run_teacher, start_from, train_teacher
from training.config import Config, RecogniserConfig, to_plain
from training.errors import InputError
from training.learning.epochs import Schedule, train_stage
from training.learning.learner import Learner
from training.learning.losses import class_loss
from training.learning.scores import Scored, top1
from training.learning.temperature import fit_temperature
from training.models.inputs import image_side, media_settings, short_side_of
from training.models.recogniser import ClipRecogniser, FrameRecogniser
from training.models.teacher import Teacher
from training.runs.checkpoint import load_network, read_classes
from training.runs.devices import place
from training.runs.files import write_json
from training.videos.manifest import class_names
from training.videos.sets import describe_set, load_sets

WEIGHTS = "recogniser.safetensors"
_BATCH = 128


@dataclass(frozen=True, slots=True)
class Recogniser:
    """A trained recogniser, in evaluation mode.

    Attributes:
        network: uint8 frames [B, H, W, 3] or clips [B, 16, H, W, 3] to logits [B, C].
        settings: What a plan says of it.
        classes: C names.
    """

    network: FrameRecogniser | ClipRecogniser
    settings: RecogniserSettings
    classes: tuple[str, ...]


def train_recogniser(config: Config) -> dict[str, float]:
    """Train the recogniser, or continue where a killed run stopped.

    Returns:
        Accuracy on clips of the validation sets, and the temperature fitted on them; nothing where none is
        configured.
    """
    settings = config.recogniser
    if settings.kind == "none":
        print("recogniser: none is configured", flush=True)
        return {}
    torch.set_num_threads(config.threads)
    pairs = recogniser_pairs(config)
    if settings.kind == "frame":
        _train_frames(config, pairs)
    elif settings.folder is None:
        _train_clips(config, pairs)
    network, classes = _load(config)
    if classes != pairs.train.classes:
        raise InputError(f"{_folder(config)} knows other classes than the sets of this run")
    logits = pair_logits(network, pairs.validation, _sizes(config))
    labels = pairs.validation.labels
    metrics = {
        "accuracy": top1(Scored(logits.numpy(), labels)),
        "temperature": fit_temperature(logits, _truth(config, labels)),
    }
    write_json(metrics_path(config), metrics)
    return metrics


def recogniser_pairs(config: Config) -> PairSets:
    """Return what it learns from, with clips where it sees those: in the student's classes."""
    settings, student = config.recogniser, config.student
    classes = class_names(video for _, video in load_sets(config, student.train))
    if settings.kind == "clip":
        load = partial(clip_pairs, config)
    else:
        sizes = _sizes(config)
        sound = media_settings(config.model)
        load = partial(load_pairs, config, media=replace(sound, short_side=sizes.short_side, crop=sizes.crop))
    train = load(settings.train or student.train, classes)
    return PairSets(train, load(settings.validation or student.validation, classes))


def load_recogniser(config: Config) -> Recogniser | None:
    """Return the trained recogniser; None where none is configured."""
    if config.recogniser.kind == "none":
        return None
    network, classes = _load(config)
    metrics = json.loads(metrics_path(config).read_text(encoding="utf-8"))
    sizes = replace(_sizes(config), temperature=metrics["temperature"])
    return Recogniser(network, sizes, classes)


def metrics_path(config: Config) -> Path:
    """Return where its metrics are."""
    return config.folder("recogniser", "metrics.json")


@torch.inference_mode()
def pair_logits(network: nn.Module, pairs: Pairs, settings: RecogniserSettings) -> Tensor:
    """Return logits [P, C] of the centres of frames, or of clips."""
    if isinstance(network, ClipRecogniser):
        return run_teacher(network.teacher, pairs, settings.crop).logits
    logits = []
    for start in range(0, len(pairs), _BATCH):
        images = torch.from_numpy(pairs.images[start : start + _BATCH])
        logits.append(network(*place(network, crop_images(images, settings.crop))).float().cpu())
    return torch.cat(logits)


def _truth(config: Config, labels: NDArray[np.bool_]) -> Tensor:
    """Return numbers of classes [P], or with several labels which classes each clip has [P, C]."""
    truth = torch.from_numpy(labels)
    return truth if config.skim.several else truth.int().argmax(dim=1)


def _sizes(config: Config) -> RecogniserSettings:
    """Return what it sees, as training has it."""
    settings, side = config.recogniser, config.teacher.side
    if settings.kind == "frame":
        crop = frame_side(settings)
        return RecogniserSettings(short_side=short_side_of(crop), crop=crop)
    return RecogniserSettings(
        kind="clip",
        short_side=clip_side(side),
        crop=side,
        frames=FRAMES,
        seconds=FRAMES / RATE,
    )


def frame_side(settings: RecogniserConfig) -> int:
    """Return the pixels of the square that a frame recogniser is shown."""
    return settings.side or image_side(settings.image, settings.image_side)


def _folder(config: Config) -> Path:
    given = config.recogniser.folder
    return config.folder("recogniser") if given is None else Path(given)


def _load(config: Config) -> tuple[FrameRecogniser | ClipRecogniser, tuple[str, ...]]:
    folder = _folder(config)
    if config.recogniser.kind == "clip":
        teacher, classes = load_teacher(config, folder)
        return ClipRecogniser(teacher).eval(), classes
    classes = read_classes(folder, made_by="recogniser")
    network = build_frames(config.recogniser, len(classes))
    load_network(folder / WEIGHTS, network, made_by="recogniser")
    return network.eval(), classes


def build_frames(settings: RecogniserConfig, classes: int) -> FrameRecogniser:
    """Return a frame recogniser of the configured kind with random weights."""
    network = FrameRecogniser(classes, settings.width, name=settings.image, side=settings.image_side)
    return network.to(memory_format=torch.channels_last)


def _train_clips(config: Config, pairs: PairSets) -> None:
    """Train the teacher of the source, or of Kinetics, further on the target's clips."""
    settings = config.recogniser
    teacher = replace(
        config.teacher,
        epochs=settings.epochs,
        batch=settings.batch,
        rate=settings.rate,
        weight_decay=settings.weight_decay,
        label_smoothing=settings.label_smoothing,
    )
    train_teacher(replace(config, teacher=teacher), _folder(config), pairs, start=_teacher_before(config))


def _teacher_before(config: Config) -> Callable[[Teacher], object] | None:
    return start_from(config.folder("teacher")) if config.teacher.train else published(config.teacher)


def _seen(pairs: Pairs) -> NDArray[np.int64]:
    """Return the pairs that have a picture."""
    return np.arange(len(pairs)) if pairs.has_image is None else np.flatnonzero(pairs.has_image)


def _train_frames(config: Config, pairs: PairSets) -> None:
    settings, train, validation = config.recogniser, pairs.train, pairs.validation
    sets, sizes = settings.train or config.student.train, _sizes(config)
    depends_on = {
        # The default was a number once.
        "recogniser": to_plain(settings) | {"side": sizes.crop},
        "sets": {name: describe_set(config, name) for name in sets},
        "pairs": config.student.pairs,
        "flip": config.student.flip,
        "swap_colours": config.student.swap_colours,
        "seed": config.seed,
    }

    def build() -> FrameRecogniser:
        network = build_frames(settings, len(train.classes))
        if settings.image_weights is not None:
            network.encoder.start_from(settings.image_weights)
        return network

    def loss(network: FrameRecogniser, chosen: NDArray[np.int64], learner: Learner) -> Tensor:
        images, labels = learner.place(
            augment_images(
                torch.from_numpy(train.images[chosen]),
                sizes.crop,
                flip=config.student.flip,
                swap_colours=config.student.swap_colours,
            ),
            torch.from_numpy(train.labels[chosen]),
        )
        with learner.autocast():
            logits = network(images)
        return class_loss(logits.float(), labels, train.multi_label, settings.label_smoothing).mean()

    def measure(network: FrameRecogniser) -> dict[str, float]:
        logits = pair_logits(network, validation, sizes)
        return {"accuracy": top1(Scored(logits.numpy(), validation.labels))}

    train_stage(
        _folder(config),
        depends_on,
        build=build,
        rows=_seen(train),
        schedule=Schedule.of(settings, config.precision),
        seed=config.seed,
        loss=loss,
        measure=measure,
        weights=WEIGHTS,
        classes=train.classes,
    )

"""Trains the student as a clip classifier (paper 4.1): cross-entropy under modality dropout."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor
from torch.nn import functional

from l2l_engine.plan import MediaSettings
from training.augment import augment_images, augment_samples, crop_images, crop_samples
from training.config import Config, ModelConfig, StudentConfig, to_plain
from training.learner import Learner
from training.models import Student
from training.pairs import Pairs, load_pairs
from training.runs import Checkpoint, seed_everything, write_atomically, write_json

MODALITIES = {"both": (True, True), "image": (True, False), "audio": (False, True)}


def build_student(model: ModelConfig, classes: int, dropout: float = 0.0) -> Student:
    """A student of the configured sizes."""
    return Student(
        classes,
        image_width=model.image_width,
        audio_width=model.audio_width,
        audio_stem_stride=model.audio_stem_stride,
        features=model.features,
        fusion=model.fusion,
        dropout=dropout,
    )


def load_student(config: Config) -> tuple[Student, tuple[str, ...]]:
    """The trained student in evaluation mode, and its classes."""
    path = student_path(config)
    weights = load_file(path)
    classes = tuple((path.parent / "classes.txt").read_text(encoding="utf-8").splitlines())
    student = build_student(config.model, len(classes))
    student.load_state_dict(weights)
    return student.eval(), classes


def student_path(config: Config) -> Path:
    """Where the student's weights are."""
    return config.folder("student", "student.safetensors")


def finetune(config: Config) -> dict[str, float]:
    """Train the student, or continue where a killed run stopped.

    Returns:
        The validation metrics.
    """
    torch.set_num_threads(config.threads)
    settings = {
        "model": to_plain(config.model),
        "student": to_plain(config.student),
        "sets": {name: to_plain(config.render[name]) for name in config.student.train},
        "seed": config.seed,
    }
    checkpoint = Checkpoint(config.folder("student"), settings)
    state = checkpoint.load()
    train = load_pairs(config, config.student.train)
    validation = load_pairs(config, config.student.validation, train.classes)
    seed_everything(config.seed)
    student = build_student(config.model, len(train.classes), config.student.dropout)
    # Frames arrive with channels last, and convolutions on CPUs are fastest when weights lie so too.
    student = student.to(memory_format=torch.channels_last)
    learner = Learner(
        student,
        rate=config.student.rate,
        weight_decay=config.student.weight_decay,
        updates=config.student.epochs * max(1, len(train.labels) // config.student.batch),
        warm_up=0.15,
        clip=5.0,
    )
    learner.restore(state)
    while learner.done < config.student.epochs:
        start, epoch = time.monotonic(), learner.done
        loss = train_epoch(student, train, learner, config)
        checkpoint.log(
            {"epoch": epoch, "loss": loss, "seconds": time.monotonic() - start} | measure(student, validation)
        )
        checkpoint.save(learner.state())
    return _finish(config, student, train.classes, measure(student, validation))


def _finish(
    config: Config, student: Student, classes: tuple[str, ...], metrics: dict[str, float]
) -> dict[str, float]:
    """Write what later stages read."""
    path = student_path(config)
    weights = {name: value.contiguous() for name, value in student.state_dict().items()}
    path.with_name("classes.txt").write_text("\n".join(classes) + "\n", encoding="utf-8")
    write_atomically(path, lambda file: file.write(save(weights)))
    write_json(path.with_name("metrics.json"), metrics)
    return metrics


def measure(student: Student, pairs: Pairs) -> dict[str, float]:
    """Top-1 with both modalities, and with either alone."""
    return {f"accuracy_{name}": accuracy(student, pairs, name) for name in MODALITIES}


def train_epoch(student: Student, pairs: Pairs, learner: Learner, config: Config) -> float:
    """One pass over the pairs in random order; returns the mean loss."""
    rng = seed_everything(config.seed, learner.done)
    order = rng.permutation(len(pairs.labels))
    size = min(config.student.batch, len(order))
    student.train()
    losses = []
    for start in range(0, len(order) - size + 1, size):
        chosen = np.sort(order[start : start + size])
        losses.append(learner.learn(pair_loss(student, pairs, chosen, config)))
    learner.done += 1
    return float(torch.stack(losses).mean())


def pair_loss(student: Student, pairs: Pairs, chosen: np.ndarray, config: Config) -> Tensor:
    """Cross-entropy of augmented pairs, under modality dropout."""
    media = MediaSettings()
    images = augment_images(torch.from_numpy(pairs.images[chosen]), media.crop)
    samples = augment_samples(torch.from_numpy(pairs.samples[chosen]), media.window)
    with torch.autocast("cpu", torch.bfloat16):
        image, audio = student.image(images), student.audio(samples)
    has_audio = torch.from_numpy(pairs.has_audio[chosen])
    labels = torch.from_numpy(pairs.labels[chosen])
    return dropout_loss(student, image.float(), audio.float(), has_audio, labels, settings=config.student)


def dropout_loss(
    student: Student,
    image: Tensor,
    audio: Tensor,
    has_audio: Tensor,
    labels: Tensor,
    *,
    settings: StudentConfig,
) -> Tensor:
    """Modality dropout as its expectation: both, image alone and audio alone, weighted by their shares.

    Dropping at random would leave the slower modality with gradients only once the faster one is learned.
    The encoders are what costs, so all three losses come for the price of one.
    """

    def loss(image: Tensor, audio: Tensor) -> Tensor:
        return functional.cross_entropy(
            student.classify(image, audio), labels, label_smoothing=settings.label_smoothing, reduction="none"
        )

    nothing = torch.zeros_like(image)
    audio = audio * has_audio[:, None]
    both, seen, heard = loss(image, audio), loss(image, nothing), loss(nothing, audio)
    keep = 1 - settings.drop_image - settings.drop_audio
    return (keep * both + settings.drop_audio * seen + settings.drop_image * heard * has_audio).mean()


@torch.inference_mode()
def accuracy(student: Student, pairs: Pairs, modalities: str, batch: int = 128) -> float:
    """Top-1 on centre crops with both modalities, or with one alone."""
    media = MediaSettings()
    student.eval()
    right = 0
    with_image, with_audio = MODALITIES[modalities]
    for start in range(0, len(pairs.labels), batch):
        part = slice(start, start + batch)
        images = crop_images(torch.from_numpy(pairs.images[part]), media.crop)
        samples = crop_samples(torch.from_numpy(pairs.samples[part]), media.window)
        has_audio = torch.from_numpy(pairs.has_audio[part]) & with_audio
        has_image = torch.full((len(images),), with_image)
        logits = student(images, samples, has_image, has_audio)
        right += int((logits.argmax(dim=1) == torch.from_numpy(pairs.labels[part])).sum())
    return right / len(pairs.labels)

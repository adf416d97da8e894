"""Trains the teacher, R(2+1)D-18, on clips (paper 3.2): on the source universe, or further on a target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import Tensor

from training.clips.augment import augment_clips, crop_clips
from training.clips.pairs import Pairs, PairSets, load_pairs
from training.config import Config, TeacherConfig, to_plain
from training.learning.epochs import Schedule, train_stage
from training.learning.learner import Learner
from training.learning.losses import class_loss
from training.learning.scores import Scored, top1
from training.models.teacher import Teacher, load_kinetics
from training.runs.checkpoint import load_network, read_classes
from training.runs.code import code_fingerprint
from training.runs.devices import autocast, lead_first, place, processes
from training.runs.files import file_fingerprint, fingerprint, write_atomically

WEIGHTS = "teacher.safetensors"
_BATCH = 32


@dataclass(frozen=True, slots=True)
class TeacherOutputs:
    """What a teacher says of P clips.

    Attributes:
        features: float32 [P, D], z^V.
        logits: float32 [P, C].
    """

    features: Tensor
    logits: Tensor


def teach(config: Config) -> dict[str, float]:
    """Train the teacher on its source, or continue where a killed run stopped.

    Returns:
        The validation metrics; none where the configuration names no training sets.
    """
    settings = config.teacher
    if not settings.train:
        print("teacher: no training sets, so no teacher", flush=True)
        return {}
    return train_teacher(config, config.folder("teacher"), teacher_pairs(config), start=published(settings))


def teacher_pairs(config: Config) -> PairSets:
    """Return the teacher's clips to learn from and to validate on, with the pairs that stand for them."""
    train = clip_pairs(config, config.teacher.train)
    return PairSets(train, clip_pairs(config, config.teacher.validation, train.classes))


def clip_pairs(config: Config, sets: tuple[str, ...], classes: tuple[str, ...] | None = None) -> Pairs:
    """Return pairs with their clips, as the teacher's settings have them."""
    return load_pairs(config, sets, classes, count=config.teacher.clips, side=config.teacher.side)


def train_teacher(
    config: Config,
    folder: Path,
    pairs: PairSets,
    *,
    start: Callable[[Teacher], object] | None = None,
    rows: NDArray[np.int64] | None = None,
) -> dict[str, float]:
    """Train a teacher in ``folder``.

    Args:
        config: The run, with the teacher's settings.
        folder: For the weights, the classes, the metrics and the checkpoint.
        pairs: With their clips.
        start: Puts other weights than random ones into the new teacher.
        rows: Those pairs to learn from; all by default.
    """
    settings, train, validation = config.teacher, pairs.train, pairs.validation
    torch.set_num_threads(config.threads)
    rows = np.arange(len(train)) if rows is None else rows
    depends_on = {
        "teacher": to_plain(settings),
        "seed": config.seed,
        "rows": len(rows),
        "flip": config.student.flip,
    }

    def build() -> Teacher:
        teacher = build_teacher(settings, train.classes)
        if start is not None:
            start(teacher)
        # Convolutions on CPUs are fastest when weights and pictures lie with channels last.
        return teacher.to(memory_format=torch.channels_last_3d)

    def loss(teacher: Teacher, chosen: NDArray[np.int64], learner: Learner) -> Tensor:
        clips, labels = learner.place(
            augment_clips(_clips(train, chosen), settings.side, flip=config.student.flip),
            torch.from_numpy(train.labels[chosen]),
        )
        with learner.autocast():
            _, logits = teacher(clips)
        return class_loss(logits.float(), labels, train.multi_label, settings.label_smoothing).mean()

    def measure(teacher: Teacher) -> dict[str, float]:
        outputs = run_teacher(teacher, validation, settings.side)
        return {"accuracy": top1(Scored(outputs.logits.numpy(), validation.labels))}

    return train_stage(
        folder,
        depends_on,
        build=build,
        rows=rows,
        schedule=Schedule.of(settings, config.precision),
        seed=config.seed,
        loss=loss,
        measure=measure,
        weights=WEIGHTS,
        classes=train.classes,
    )


def build_teacher(settings: TeacherConfig, classes: Sequence[str]) -> Teacher:
    """Return a teacher of the configured sizes with random weights."""
    parts = None
    if settings.words:
        words = sorted({word for name in classes for word in name.split()})
        parts = torch.tensor([[float(word in name.split()) for word in words] for name in classes])
    return Teacher(len(classes), settings.width, pool=settings.pool, parts=parts)


def load_teacher(config: Config, folder: Path) -> tuple[Teacher, tuple[str, ...]]:
    """Return a trained teacher in evaluation mode, and its classes.

    Raises:
        InputError: If there is none, or one of other settings.
    """
    classes = read_classes(folder, made_by="teacher")
    teacher = build_teacher(config.teacher, classes)
    load_network(folder / WEIGHTS, teacher, made_by="teacher")
    return teacher.to(memory_format=torch.channels_last_3d).eval(), classes


def start_from(folder: Path) -> Callable[[Teacher], object]:
    """Return another teacher's weights, but for the classifier."""

    def start(teacher: Teacher) -> None:
        weights = load_file(folder / WEIGHTS)
        own = teacher.state_dict()
        teacher.load_state_dict(own | {k: v for k, v in weights.items() if not k.startswith("fc.")})

    return start


def cached_outputs(config: Config, folder: Path, pairs: Pairs, name: str) -> TeacherOutputs:
    """Return what the teacher in ``folder`` says of ``pairs``, computed once."""
    made_by = [file_fingerprint(folder / WEIGHTS), code_fingerprint(run_teacher)]
    path = folder / "outputs" / f"{name}-{fingerprint(made_by)}.safetensors"
    with lead_first():
        if not path.exists():
            teacher, _ = load_teacher(config, folder)
            outputs = run_teacher(teacher.to(processes().device), pairs, config.teacher.side)
            tensors = {"features": outputs.features, "logits": outputs.logits}
            write_atomically(path, lambda file: file.write(save(tensors)))
    return TeacherOutputs(**load_file(path))


@torch.inference_mode()
def run_teacher(teacher: Teacher, pairs: Pairs, side: int) -> TeacherOutputs:
    """Return what ``teacher`` says of the clips' centre crops."""
    features, logits = [], []
    for first in range(0, len(pairs), _BATCH):
        chosen = np.arange(first, min(first + _BATCH, len(pairs)))
        (clips,) = place(teacher, crop_clips(_clips(pairs, chosen), side))
        with autocast("auto", clips.device):
            z, scores = teacher(clips)
        features.append(z.float().cpu())
        logits.append(scores.float().cpu())
    return TeacherOutputs(torch.cat(features), torch.cat(logits))


def _clips(pairs: Pairs, chosen: NDArray[np.int64]) -> Tensor:
    if pairs.clips is None:
        raise ValueError("these pairs were decoded without their clips")
    return torch.from_numpy(pairs.clips[chosen])


def published(settings: TeacherConfig) -> Callable[[Teacher], object] | None:
    """Return the published weights that the settings name, to start from; None where they name none."""
    if settings.weights is None:
        return None
    weights = Path(settings.weights)
    return lambda teacher: load_kinetics(teacher, weights)

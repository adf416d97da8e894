"""ImgAud2Vid (paper 3.2): a student learns the teacher's features and classes from a frame and its sound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.clips.pairs import Pairs
from training.clips.students import (
    WEIGHTS,
    Encoded,
    Streams,
    distilled_folder,
    encode_batch,
    new_student,
    run_student,
    shown,
    streams_of,
    views,
)
from training.clips.teach import WEIGHTS as TEACHER_WEIGHTS
from training.clips.teach import TeacherOutputs, build_teacher, cached_outputs, teacher_pairs
from training.config import Config, to_plain
from training.errors import InputError
from training.learning.epochs import Schedule, train_stage
from training.learning.learner import Learner
from training.learning.losses import distillation, feature_distance
from training.models import Student
from training.runs.files import file_fingerprint


def distill(config: Config) -> dict[str, float]:
    """Distil the teacher into the student, or continue where a killed run stopped.

    Returns:
        Validation metrics: the mean L1 distance to the teacher's features and the share of clips of which
        the student says the teacher's class; none where there is no teacher.

    Raises:
        InputError: If the teacher's features are not of the student's size.
    """
    if not config.teacher.train:
        print("distill: no teacher, so nothing to distil", flush=True)
        return {}
    torch.set_num_threads(config.threads)
    check_sizes(config)
    folder, streams = distilled_folder(config), streams_of(config.student)
    teacher = config.folder("teacher")
    pairs = teacher_pairs(config)
    train, validation = pairs.train, pairs.validation
    targets = cached_outputs(config, teacher, train, "train")
    aims = cached_outputs(config, teacher, validation, "validation")
    depends_on = {
        "model": to_plain(config.model),
        "distill": to_plain(config.distill),
        "teacher": file_fingerprint(teacher / TEACHER_WEIGHTS),
        "streams": config.student.streams,
        "flip": config.student.flip,
        "swap_colours": config.student.swap_colours,
        "seed": config.seed,
        **shown(config.model),
    }
    schedule = Schedule.of(config.distill, config.precision)

    def loss(student: Student, chosen: NDArray[np.int64], learner: Learner) -> Tensor:
        aim = TeacherOutputs(*learner.place(targets.features[chosen], targets.logits[chosen]))
        batch = encode_batch(student, train, chosen, config.student, learner)
        return pair_loss(student, batch, aim, config)

    return train_stage(
        folder,
        depends_on,
        build=lambda: new_student(config.model, len(train.classes)),
        rows=np.arange(len(train)),
        # Eq. 4 weighs the classes' gradients, and so does what is too great for one.
        schedule=replace(schedule, clip=schedule.clip * config.distill.weight),
        seed=config.seed,
        loss=loss,
        measure=lambda student: compare(student, validation, aims, streams),
        weights=WEIGHTS,
        classes=train.classes,
    )


def check_sizes(config: Config) -> None:
    """Make sure that the student can learn the teacher's features.

    Raises:
        InputError: If they are not of the same size.
    """
    features = build_teacher(config.teacher, ("any",)).features
    if features != config.model.features:
        raise InputError(
            f"model.features is {config.model.features}, but the teacher's features have {features} numbers: "
            f"512 times teacher.width; set model.features={features}"
        )


def pair_loss(student: Student, batch: Encoded, aim: TeacherOutputs, config: Config) -> Tensor:
    """Eq. 4 of encoded pairs, under modality dropout."""
    settings, streams = config.distill, streams_of(config.student)
    total = torch.zeros((), device=batch.image.device)
    for view in views(batch, streams, drop_image=settings.drop_image, drop_audio=settings.drop_audio):
        fused = student.fusion(view.image, view.audio)
        part = distillation(
            aim.features[view.rows],
            aim.logits[view.rows],
            fused,
            student.classifier(fused),
            settings.weight,
        )
        total = total + view.share * part.total
    return total


def compare(student: Student, pairs: Pairs, aims: TeacherOutputs, streams: Streams) -> dict[str, float]:
    """Return how near ``student`` comes to the teacher on centre crops."""
    outputs = run_student(student, pairs, streams)
    agreed = outputs.logits.argmax(dim=1) == aims.logits.argmax(dim=1)
    return {
        "distance": float(feature_distance(aims.features, outputs.features).mean()),
        "agreement": float(agreed.float().mean()),
    }

"""Trains the student as a clip classifier (paper 4.1): from a distilled start or from scratch."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from training.clips.pairs import Pairs, PairSets, load_pairs
from training.clips.students import (
    STREAMS,
    WEIGHTS,
    Encoded,
    Streams,
    distilled_folder,
    encode_batch,
    new_student,
    run_student,
    shown,
    streams_of,
    student_path,
    views,
)
from training.config import Config, StudentConfig, to_plain
from training.learning.epochs import Schedule, train_stage
from training.learning.learner import Learner
from training.learning.losses import class_loss
from training.learning.scores import Scored, top1
from training.models import Student
from training.runs.files import file_fingerprint
from training.videos.sets import describe_set


def target_pairs(config: Config) -> PairSets:
    """Return the pairs of the student's sets."""
    train = load_pairs(config, config.student.train)
    return PairSets(train, load_pairs(config, config.student.validation, train.classes))


_LAST = 0.1
"""Share of ``student.rate`` at which the last stage is tuned: it begins with something good already."""


def finetune(
    config: Config,
    folder: Path | None = None,
    pairs: PairSets | None = None,
    *,
    start: Path | None = None,
) -> dict[str, float]:
    """Train the student, or continue where a killed run stopped.

    Args:
        config: The run.
        folder: Where the student goes; ``student`` of the run by default.
        pairs: What it learns from, if that is loaded already.
        start: Weights of a student of the same classes to go on from; by default the distilled student's,
            without its classifier, where there is one.

    Returns:
        The validation metrics.
    """
    torch.set_num_threads(config.threads)
    settings, streams = config.student, streams_of(config.student)
    whole = start is not None
    if not whole and settings.distilled and config.teacher.train:
        start = distilled_folder(config) / WEIGHTS
    depends_on = {
        "model": to_plain(config.model),
        "student": to_plain(settings),
        "sets": {name: describe_set(config, name) for name in settings.train},
        "start": None if start is None else file_fingerprint(start),
        "seed": config.seed,
        **shown(config.model),
    }
    pairs = pairs or target_pairs(config)
    train, validation = pairs.train, pairs.validation
    schedule = Schedule.of(settings, config.precision)
    if config.model.tune == "last":
        schedule = replace(schedule, rate=_LAST * schedule.rate)

    def build() -> Student:
        student = new_student(config.model, len(train.classes), settings.dropout)
        if start is not None:
            start_from(student, start, whole=whole)
        return student

    def loss(student: Student, chosen: NDArray[np.int64], learner: Learner) -> Tensor:
        (labels,) = learner.place(torch.from_numpy(train.labels[chosen]))
        batch = encode_batch(student, train, chosen, settings, learner)
        return pair_loss(student, batch, labels, train.multi_label, settings)

    return train_stage(
        folder or student_path(config).parent,
        depends_on,
        build=build,
        rows=labelled_rows(train, settings.labels, config.seed),
        schedule=replace(schedule, epochs=epochs_for(settings.epochs, settings.labels)),
        seed=config.seed,
        loss=loss,
        measure=lambda student: validate(student, validation, streams),
        weights=WEIGHTS,
        classes=train.classes,
    )


def start_from(student: Student, path: Path, *, whole: bool = False) -> None:
    """Take both encoders and Psi from another student, and the classifier too if ``whole``."""
    own = student.state_dict()
    weights = {k: v for k, v in load_file(path).items() if whole or not k.startswith("classifier.")}
    student.load_state_dict(own | weights)


def epochs_for(epochs: int, share: float) -> int:
    """Return the epochs over a share of the labels: the fewer there are, the more often each is seen."""
    return math.ceil(epochs / math.sqrt(share))


def labelled_rows(pairs: Pairs, share: float, seed: int) -> NDArray[np.int64]:
    """Choose a share of the videos of every class, at least one; greater shares hold the smaller.

    A video with several labels counts for the rarest of them.

    Raises:
        ValueError: If ``share`` is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"student.labels must lie in (0, 1], not {share}")
    videos, first = np.unique(pairs.videos, return_index=True)
    labels = pairs.labels[first]
    rarest = np.where(labels, labels.sum(axis=0), np.inf).argmin(axis=1)
    chosen: list[int] = []
    for number in range(labels.shape[1]):
        own = np.random.default_rng((seed, number)).permutation(videos[rarest == number])
        chosen += own[: math.ceil(share * len(own))].tolist()
    return np.flatnonzero(np.isin(pairs.videos, chosen))


def pair_loss(
    student: Student, batch: Encoded, labels: Tensor, multi_label: bool, settings: StudentConfig
) -> Tensor:
    """Return the classes' loss of encoded pairs, under modality dropout."""
    streams = streams_of(settings)
    total = torch.zeros((), device=labels.device)
    for view in views(batch, streams, drop_image=settings.drop_image, drop_audio=settings.drop_audio):
        logits = student.classify(view.image, view.audio)
        loss = class_loss(logits, labels[view.rows], multi_label, settings.label_smoothing)
        total = total + view.share * loss.mean()
    return total


def validate(student: Student, pairs: Pairs, streams: Streams) -> dict[str, float]:
    """Return top-1 with the student's streams, and of a student of both with either alone."""
    names = STREAMS if streams == STREAMS["both"] else [n for n, s in STREAMS.items() if s == streams]
    return {
        f"accuracy_{name}": top1(
            Scored(run_student(student, pairs, STREAMS[name]).logits.numpy(), pairs.labels)
        )
        for name in names
    }

"""Trains the clip classifiers of Fig. 5: teacher and students, by streams, start and share of the labels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from training.clips.distill import distill
from training.clips.finetune import finetune, labelled_rows, target_pairs
from training.clips.pairs import PairSets
from training.clips.students import student_path
from training.clips.teach import clip_pairs, start_from, train_teacher
from training.config import Config

ALL_STREAMS: tuple[Literal["both", "image", "audio"], ...] = ("both", "image", "audio")


@dataclass(frozen=True, slots=True)
class Variant:
    """One student of the comparison."""

    streams: Literal["both", "image", "audio"]
    distilled: bool
    share: float

    @property
    def name(self) -> str:
        """The name of its folder, e.g. "image-distilled-10"."""
        return f"{self.streams}-{'distilled' if self.distilled else 'undistilled'}-{percents(self.share)}"

    def config(self, config: Config) -> Config:
        """Return the run's settings, but for what makes this student what it is."""
        student = replace(
            config.student,
            streams=self.streams,
            distilled=self.distilled,
            labels=self.share,
            epochs=config.clips.epochs or config.student.epochs,
        )
        return replace(config, student=student)

    def folder(self, config: Config) -> Path:
        """Return where it is: the run's own student is one of them."""
        own = self.config(config).student == config.student
        return student_path(config).parent if own else config.folder("students", self.name)


def percents(share: float) -> str:
    """Write 0.05 as "5"."""
    return f"{100 * share:g}"


def variants(config: Config) -> Iterator[Variant]:
    """Yield every student of the comparison, those of both streams first, none distilled without teacher."""
    for streams in ALL_STREAMS:
        for share in config.clips.shares:
            for distilled in (True, False) if config.teacher.train else (False,):
                yield Variant(streams, distilled, share)


def teacher_shares(config: Config) -> tuple[float, ...]:
    """Return the shares of labels that the teacher is trained further on; none if it learnt the target."""
    return () if config.teacher.train == config.student.train else config.clips.shares


def teacher_folder(config: Config, share: float) -> Path:
    """Return where the target's teacher is that learned from a share of the labels."""
    return (
        config.folder("teachers", f"target-{percents(share)}")
        if teacher_shares(config)
        else config.folder("teacher")
    )


def train_clips(config: Config) -> None:
    """Train all of them, or those that are missing; the teacher and the run's student come before."""
    if config.clips.test is None:
        print("clips: no comparison is configured", flush=True)
        return
    pairs = target_pairs(config)
    for streams in ALL_STREAMS if config.teacher.train else ():
        distill(Variant(streams, True, 1.0).config(config))
    for variant in variants(config):
        finetune(variant.config(config), variant.folder(config), pairs)
    train_target_teachers(config)


def train_target_teachers(config: Config) -> None:
    """Fine-tune the source's teacher on shares of the target's labels, as the students are."""
    if not config.teacher.train or not teacher_shares(config):
        return
    train = clip_pairs(config, config.student.train)
    validation = clip_pairs(config, config.student.validation, train.classes)
    for share in teacher_shares(config):
        epochs = math.ceil(config.clips.teacher_epochs / math.sqrt(share))
        train_teacher(
            replace(config, teacher=replace(config.teacher, epochs=epochs)),
            teacher_folder(config, share),
            PairSets(train, validation),
            start=start_from(config.folder("teacher")),
            rows=labelled_rows(train, share, config.seed),
        )

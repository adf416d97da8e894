"""Training on clips: the teacher, distillation, the clip classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from training.config.kinds import Amount, Count, Part, Positive, Share
from training.config.pace import Pace
from training.config.parse import added


@dataclass(frozen=True, slots=True)
class TeacherConfig(Pace):
    """Training of the teacher on clips of the source universe.

    Attributes:
        train, validation: Names of sets.
        width: Factor on the channels; 512 times it is the size of z^V, and of the student's features.
        side: Pixels of the square that it sees; 112 in the paper.
        pool: "mean" over the places of a frame, as published, or "max", which learns small things sooner.
        words: Whether the words of the classes' names are their parts: what is learned of a ball then serves
            "ball bouncing" and "ball spinning".
        clips: Clips of 16 frames drawn from each video.
        weights: Folder of torchvision's Kinetics-400 weights to start from; none by default.
    """

    train: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    width: Positive = 1.0
    side: Annotated[int, Field(ge=1, le=128)] = 112
    pool: Literal["mean", "max"] = "mean"
    words: bool = False
    clips: Count = 2
    batch: Count = 32
    rate: Positive = 1e-3
    label_smoothing: Share = 0.05
    weights: str | None = None


@dataclass(frozen=True, slots=True)
class DistillConfig(Pace):
    """ImgAud2Vid: the student learns the teacher's features and classes on the source universe.

    Attributes:
        weight: Lambda of Eq. 4.
        drop_image, drop_audio: Shares of the loss on pairs that lose a modality.
    """

    weight: Amount = 100.0
    drop_image: Share = 0.1
    drop_audio: Share = 0.1


@dataclass(frozen=True, slots=True)
class ClipsConfig:
    """The comparison of clip classifiers.

    Attributes:
        test: Name of the set they are compared on; without one there is no comparison.
        shares: The shares of the labelled videos that are compared.
        epochs: Epochs of a student on all labels; the run's own student's by default.
        teacher_epochs: Epochs of the teacher on all labelled clips of the target.
    """

    test: str | None = None
    shares: tuple[Part, ...] = (0.05, 0.1, 0.25, 1.0)
    epochs: Count | None = None
    teacher_epochs: Count = 3


@dataclass(frozen=True, slots=True)
class StudentConfig(Pace):
    """Training of the clip classifier.

    Attributes:
        train, validation: Names of rendered sets.
        pairs: Image-audio pairs drawn from each video's stretches.
        drop_image, drop_audio: Shares of the loss on pairs that lose a modality.
        streams: "both", "image" or "audio": what the student sees and hears.
        distilled: Whether it starts from the distilled student, where there is one.
        labels: Share of the labelled videos that it learns from.
        flip: Whether mirrored pictures keep their class; for the teacher too.
        swap_colours: Whether pictures keep their class when red, green and blue change places.
    """

    train: tuple[str, ...] = ("clips",)
    validation: tuple[str, ...] = ("clips-validation",)
    pairs: Count = 6
    label_smoothing: Share = 0.05
    drop_image: Share = 0.2
    drop_audio: Share = 0.4
    dropout: Share = 0.1
    streams: Literal["both", "image", "audio"] = "both"
    distilled: bool = True
    labels: Part = 1.0
    flip: bool = True
    swap_colours: bool = added(True)

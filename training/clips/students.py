"""What every training of a student shares: its streams, its views of a batch, its files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from l2l_engine.plan import MediaSettings
from training.clips.augment import augment_images, augment_samples, crop_images, crop_samples
from training.clips.pairs import Pairs
from training.config import Config, ModelConfig, StudentConfig
from training.learning.learner import Learner
from training.models import Student, media_settings
from training.runs.checkpoint import load_network, read_classes
from training.runs.devices import place

WEIGHTS = "student.safetensors"
_BATCH = 128


@dataclass(frozen=True, slots=True)
class Streams:
    """Which streams a student has, or is allowed to use."""

    image: bool
    audio: bool


STREAMS = {"both": Streams(True, True), "image": Streams(True, False), "audio": Streams(False, True)}


@dataclass(frozen=True, slots=True)
class Encoded:
    """A batch of pairs as their features.

    Attributes:
        image, audio: float32 [B, D]; zeros where there is none.
        has_audio: bool [B].
        has_image: bool [B]; None where all have one.
    """

    image: Tensor
    audio: Tensor
    has_audio: Tensor
    has_image: Tensor | None = None


@dataclass(frozen=True, slots=True)
class View:
    """A batch with some of its modalities, and its share of the loss.

    Attributes:
        share: Weight of the mean loss of these rows.
        image, audio: [R, D]; zeros where a modality is missing.
        rows: bool [B], which rows of the batch they are.
    """

    share: float
    image: Tensor
    audio: Tensor
    rows: Tensor


@dataclass(frozen=True, slots=True)
class StudentOutputs:
    """What a student says of P pairs.

    Attributes:
        features: float32 [P, D], Psi(z^I, z^A).
        logits: float32 [P, C].
    """

    features: Tensor
    logits: Tensor


def streams_of(settings: StudentConfig) -> Streams:
    """Return the streams that ``settings`` name.

    Raises:
        ValueError: If there are no such streams.
    """
    if settings.streams not in STREAMS:
        raise ValueError(f"student.streams must be one of {', '.join(STREAMS)}, not {settings.streams!r}")
    return STREAMS[settings.streams]


def build_student(model: ModelConfig, classes: int, dropout: float = 0.0) -> Student:
    """Return a student of the configured sizes."""
    student = Student(
        classes,
        image_width=model.image_width,
        audio_width=model.audio_width,
        audio_stem_stride=model.audio_stem_stride,
        features=model.features,
        fusion=model.fusion,
        dropout=dropout,
        image=model.image,
        image_side=model.image_side,
        audio=model.audio,
    )
    if model.tune != "all":
        # What learns first stands behind the trunks; so there is something even where the sizes agree.
        for encoder in (student.image, student.audio):
            if isinstance(encoder.project, nn.Identity):
                encoder.project = nn.Linear(encoder.embedding_size, model.features)
    student.tune(model.tune)
    # Frames arrive with channels last, and convolutions on CPUs are fastest when weights lie so too.
    return student.to(memory_format=torch.channels_last)


def new_student(model: ModelConfig, classes: int, dropout: float = 0.0) -> Student:
    """Build a student to train: its encoders start from published weights if the model names any."""
    student = build_student(model, classes, dropout)
    if model.audio_weights is not None:
        student.audio.start_from(model.audio_weights)
    if model.image_weights is not None:
        student.image.start_from(model.image_weights)
    return student


def shown(model: ModelConfig) -> dict[str, Any]:
    """Return what a checkpoint depends on beside the model's settings: sizes of what its encoders are shown.

    Those of before there were others are left out, so that what was trained with them is still known.
    """
    media = media_settings(model)
    return {} if media == MediaSettings() else {"media": asdict(media)}


def student_path(config: Config) -> Path:
    """Return where the student's weights are."""
    return config.folder("student", WEIGHTS)


def distilled_folder(config: Config) -> Path:
    """Return where the distilled student of the configured streams is."""
    streams = config.student.streams
    return config.folder("distilled" if streams == "both" else f"distilled-{streams}")


def load_student(
    config: Config, folder: Path | None = None, *, made_by: str = "finetune"
) -> tuple[Student, tuple[str, ...]]:
    """Return a trained student in evaluation mode, by default the run's own, and its classes.

    Raises:
        InputError: If there is none, or one of other settings.
    """
    folder = folder or student_path(config).parent
    classes = read_classes(folder, made_by=made_by)
    student = build_student(config.model, len(classes))
    load_network(folder / WEIGHTS, student, made_by=made_by)
    return student.eval(), classes


def encode_batch(
    student: Student, pairs: Pairs, chosen: NDArray[np.int64], settings: StudentConfig, learner: Learner
) -> Encoded:
    """Return features of augmented pairs; zeros of a stream that the student does not have."""
    media, streams = pairs.media, streams_of(settings)
    nothing = torch.zeros(len(chosen), student.classifier.in_features)
    (image, has_audio) = learner.place(nothing, torch.from_numpy(pairs.has_audio[chosen]))
    has_image = None
    audio = image
    if streams.image:
        images = augment_images(
            torch.from_numpy(pairs.images[chosen]),
            media.crop,
            flip=settings.flip,
            swap_colours=settings.swap_colours,
        )
        (images,) = learner.place(images)
        with learner.autocast():
            image = student.image(images).float()
        if pairs.has_image is not None:
            (has_image,) = learner.place(torch.from_numpy(pairs.has_image[chosen]))
            image = image * has_image[:, None]
    if streams.audio:
        (samples,) = learner.place(augment_samples(torch.from_numpy(pairs.samples[chosen]), media.window))
        with learner.autocast():
            audio = student.audio(samples).float() * has_audio[:, None]
    return Encoded(image, audio, has_audio, has_image)


def views(batch: Encoded, streams: Streams, *, drop_image: float, drop_audio: float) -> Iterator[View]:
    """Yield modality dropout as its expectation: both, image alone and audio alone, weighted by their shares.

    Dropping at random would leave the slower modality with gradients only once the faster one is learned.
    The encoders are what costs, so all three losses come for the price of one.

    Args:
        batch: The pairs.
        streams: A student of one stream has but one view.
        drop_image, drop_audio: Shares of the views that lack a modality.
    """
    image, audio, has_audio = batch.image, batch.audio, batch.has_audio
    nothing, every = torch.zeros_like(image), torch.ones_like(has_audio)
    if not (streams.image and streams.audio):
        yield View(1.0, image, audio, every)
        return
    yield View(1 - drop_image - drop_audio, image, audio, every)
    has_image = every if batch.has_image is None else batch.has_image
    if drop_audio > 0 and has_image.any():
        share = drop_audio * float(has_image.float().mean())
        yield View(share, image[has_image], nothing[has_image], has_image)
    if drop_image > 0 and has_audio.any():
        share = drop_image * float(has_audio.float().mean())
        yield View(share, nothing[has_audio], audio[has_audio], has_audio)


@torch.inference_mode()
def run_student(student: Student, pairs: Pairs, streams: Streams) -> StudentOutputs:
    """Return what ``student`` says of centre crops and the sound from then on, with these streams alone."""
    media = pairs.media
    student.eval()
    features, logits = [], []
    for first in range(0, len(pairs), _BATCH):
        part = slice(first, first + _BATCH)
        images, samples, has_audio = place(
            student,
            crop_images(torch.from_numpy(pairs.images[part]), media.crop),
            crop_samples(torch.from_numpy(pairs.samples[part]), media.window),
            torch.from_numpy(pairs.has_audio[part]),
        )
        image = audio = torch.zeros(len(images), student.classifier.in_features, device=images.device)
        if streams.image:
            image = student.image(images)
            if pairs.has_image is not None:
                image = image * torch.from_numpy(pairs.has_image[part]).to(image.device)[:, None]
        if streams.audio:
            audio = student.audio(samples) * has_audio[:, None]
        fused = student.fusion(image, audio)
        features.append(fused.cpu())
        logits.append(student.classifier(fused).cpu())
    return StudentOutputs(torch.cat(features), torch.cat(logits))

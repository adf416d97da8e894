"""A head for long files from a folder of clips: clips joined with footage of no class, and with silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.config import Config
from training.frozen.cache import VideoEmbeddings
from training.frozen.choose import Choice, labels_of
from training.frozen.encoders import starting_trunks
from training.frozen.folds import grouped_folds
from training.frozen.judging import Threshold, unsure_below
from training.frozen.probe import Material, fit_probes
from training.learning.measures import accuracy
from training.learning.temperature import fit_temperature
from training.models.evidence import EvidenceNetwork
from training.models.inputs import media_settings
from training.skimming.evidence import evidence_logits, train_evidence
from training.skimming.joining import BACKGROUND, Joiner
from training.skimming.sequences import Track

FOLDS, FILES = 3, 60
"""Folds, and files that are joined of the clips of each to be asked about."""
_QUIET = 12
"""Timestamps of a stretch of silence."""
_FACTOR = 2
"""Every second timestamp: actions in long files last seconds."""


@dataclass(frozen=True, slots=True)
class Longer:
    """What was chosen for long files.

    Attributes:
        network: Of preset "evidence"; None where averaging is better.
        reasons: Why, a sentence each.
        temperature: Of its confidences.
        unsure: From which of them on an answer is known.
        factor: The plan's.
        streams: What it sees and hears.
    """

    network: EvidenceNetwork | None
    reasons: list[str] = field(default_factory=list)
    temperature: float = 1.0
    unsure: Threshold = field(default_factory=lambda: Threshold(None, 0.9, False, 1.0, 0.0))
    factor: int = _FACTOR
    streams: tuple[str, ...] = ()

    def probabilities(self, videos: Sequence[VideoEmbeddings]) -> Tensor:
        """Return what the network says of videos, calibrated: [V, C]."""
        assert self.network is not None  # for there is one to be asked
        tracks = [_track(video, 0, self.streams) for video in videos]
        return (evidence_logits(self.network, tracks).double() / self.temperature).softmax(dim=1)


def choose_for_long(
    config: Config, videos: Sequence[VideoEmbeddings], choice: Choice, background: Sequence[str]
) -> Longer:
    """Choose between averaging and evidence over time by files joined of clips that were not learnt from.

    Args:
        config: The run.
        videos: To learn from, those of the background among them.
        choice: The averaging head, and its modalities.
        background: Classes that stand for footage of none of the others.
    """
    classes = [name for name in choice.classes if name not in background]
    clips = [video for video in videos if video.video.label not in background]
    others = [video for video in videos if video.video.label in background]
    labels = labels_of(clips, classes)
    if config.skim.several:
        return Longer(None, ["Long files: videos of several labels cannot be joined; the plan averages."])
    material = _Material(
        [
            _track(video, int(own.int().argmax()), choice.streams)
            for video, own in zip(clips, labels, strict=True)
        ],
        [_track(video, BACKGROUND, choice.streams) for video in others],
        _silence(config, choice.streams, clips[0].hop),
        choice.streams,
    )
    groups = [video.video.group or video.video.name for video in clips]
    folds = grouped_folds(labels, groups, FOLDS, config.seed).tolist()
    apart = _apart(others, config.seed)
    said: dict[str, list[Tensor]] = {"evidence": [], "averaged": []}
    truth: list[int] = []
    for fold in sorted(set(folds)):
        learn = [number for number, own in enumerate(folds) if own != fold]
        files, found = _ask_fold(config, material, folds, apart, fold)
        truth += [file.label for file in files]
        said["evidence"].append(found.double())
        said["averaged"].append(_averaged([clips[n] for n in learn], labels[learn], choice, files, clips[0]))
    tested = _Tested({name: torch.cat(parts) for name, parts in said.items()}, torch.tensor(truth))
    return _decided(config, tested, material)


@dataclass(frozen=True, slots=True)
class _Material:
    """What long files are joined of: sequences of embeddings.

    Attributes:
        clips: Of the classes.
        around: Of footage without a label.
        quiet: Of silence.
        streams: The modalities.
    """

    clips: list[Track]
    around: list[Track]
    quiet: list[Track]
    streams: tuple[str, ...]


def _ask_fold(
    config: Config, material: _Material, folds: Sequence[int], apart: Sequence[int], fold: int
) -> tuple[list[Track], Tensor]:
    """Learn without a fold; returns files joined of it, and what is said of them."""
    clips = list(zip(material.clips, folds, strict=True))
    around = list(zip(material.around, apart, strict=True))
    behind = [track for track, own in around if own != fold] or material.around
    beside = [track for track, own in around if own == fold] or material.around
    network = train_evidence(
        [track for track, own in clips if own != fold],
        behind,
        1 + max(track.label for track in material.clips),
        silence=material.quiet,
        seed=config.seed,
    )
    joiner = Joiner([track for track, own in clips if own == fold], beside, material.quiet)
    rng = np.random.default_rng((config.seed, fold))
    files = [joiner(rng) for _ in range(FILES)]
    return files, evidence_logits(network, files)


@dataclass(frozen=True, slots=True)
class _Tested:
    """What was said of joined files, by head logits float64 [F, C], and their classes int64 [F]."""

    said: Mapping[str, Tensor]
    truth: Tensor

    def right(self, name: str) -> list[bool]:
        """Whether each file is told by a head."""
        found: list[bool] = (self.said[name].argmax(dim=1) == self.truth).tolist()
        return found

    def told(self) -> str:
        """Return the scores in words."""
        scores = {name: accuracy(self.right(name)) for name in self.said}
        return ", ".join(
            f"{name} {100 * own['top1']:.0f} % ({100 * own['low']:.0f} to {100 * own['high']:.0f} %)"
            for name, own in scores.items()
        )


def _decided(config: Config, tested: _Tested, material: _Material) -> Longer:
    around = "footage without a label and silence"
    if not material.around:
        around = "silence alone, for no footage is without label (a folder `background` would hold it)"
    count = len(tested.truth)
    reasons = [
        f"Long files, {count} joined of clips held out in turn and of {around}: {tested.told()} are right."
    ]
    right = tested.right("evidence")
    if sum(right) < sum(tested.right("averaged")):
        return Longer(None, [*reasons, "So the plan averages, although it is for long files."])
    logits = tested.said["evidence"]
    temperature = fit_temperature(logits.float(), tested.truth)
    sure = (logits / temperature).softmax(dim=1).amax(dim=1)
    network = train_evidence(
        material.clips, material.around, logits.shape[1], silence=material.quiet, seed=config.seed
    )
    reasons.append("So the plan adds up each class's evidence over time (preset evidence).")
    unsure = unsure_below(sure, torch.tensor(right))
    return Longer(network, reasons, temperature, unsure, _FACTOR, material.streams)


def _averaged(
    learn: Sequence[VideoEmbeddings],
    labels: Tensor,
    choice: Choice,
    files: Sequence[Track],
    like: VideoEmbeddings,
) -> Tensor:
    """Return what a probe learnt from some clips says of joined files, averaged over them."""
    groups = [video.video.group or video.video.name for video in learn]
    material = Material(learn, labels, grouped_folds(labels, groups, FOLDS), False, choice.factor)
    probe = fit_probes(material)[choice.streams]
    return probe.scores([_embeddings(file, like) for file in files], choice.factor)


def _embeddings(track: Track, like: VideoEmbeddings) -> VideoEmbeddings:
    """Return a joined file as if it had been embedded."""
    image = track.image if track.image.shape[1] else torch.zeros(len(track), like.image.shape[2])
    audio = track.audio if track.audio.shape[1] else torch.zeros(len(track), like.audio.shape[1])
    return replace(
        like,
        image=image[None],
        audio=audio,
        image_valid=track.image_valid,
        audio_valid=track.audio_valid,
    )


def _track(video: VideoEmbeddings, label: int, streams: Sequence[str]) -> Track:
    """Return a video as a sequence of embeddings; a modality that is not used has no width."""
    rows = {}
    for name in ("image", "audio"):
        views, valid = video.modality(name)
        used = name in streams
        rows[name] = (
            views[0].float() if used else torch.zeros(len(video), 0),
            valid if used else torch.zeros_like(valid),
        )
    inside = torch.full((len(video),), label != BACKGROUND)
    (image, image_valid), (audio, audio_valid) = rows["image"], rows["audio"]
    return Track(image, audio, image_valid, audio_valid, inside, label, video.hop)


@torch.inference_mode()
def _silence(config: Config, streams: Sequence[str], hop: float) -> list[Track]:
    """Return what the encoders say of black pictures and of silence."""
    media, trunks = media_settings(config.model, hop), starting_trunks(config)
    inputs = {
        "image": torch.zeros(1, media.crop, media.crop, 3, dtype=torch.uint8),
        "audio": torch.zeros(1, media.window),
    }
    rows = {
        name: trunks[name](inputs[name]).float().expand(_QUIET, -1).clone()
        if name in streams
        else torch.zeros(_QUIET, 0)
        for name in inputs
    }
    there = {name: torch.full((_QUIET,), name in streams) for name in inputs}
    nothing = torch.zeros(_QUIET, dtype=torch.bool)
    return [Track(rows["image"], rows["audio"], there["image"], there["audio"], nothing, BACKGROUND, hop)]


def _apart(videos: Sequence[VideoEmbeddings], seed: int) -> list[int]:
    """Return the fold of each video of the background."""
    if not videos:
        return []
    groups = [video.video.group or video.video.name for video in videos]
    one = functional.one_hot(torch.zeros(len(videos), dtype=torch.int64)).bool()
    folds: list[int] = grouped_folds(one, groups, FOLDS, seed).tolist()
    return folds

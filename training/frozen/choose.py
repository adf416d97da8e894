"""Which head a plan gets behind frozen trunks: by cross-validation over training videos, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from training.config import Config
from training.frozen.averaged import Averaged, fit_averaged
from training.frozen.cache import VideoEmbeddings
from training.frozen.folds import grouped_folds
from training.frozen.heads import ClipHead, of_probe, summed
from training.frozen.judging import Confusion, Threshold, confusions, unsure_below
from training.frozen.logistic import scaled_loss
from training.frozen.probe import Material, Probe, Streams, fit_probes
from training.frozen.skimmers import skimmed
from training.learning.measures import accuracy, paired_difference
from training.learning.temperature import fit_temperature

FOLDS = 5

_SHARES = (0.25, 0.5, 1.0, 2.0)
"""Weights of the averaged classifier's logits beside the probe's, tried in their sum."""

_ENOUGH = 24
"""Moments of a video whose mean says about as much as that of all its moments."""


@dataclass(frozen=True, slots=True)
class Row:
    """What cross-validation says of one head.

    Attributes:
        name: "probe", "averaged", "ensemble", or a preset that skims.
        streams: What it sees and hears.
        score: Top-1 of held-out videos with its 95 % interval; empty where it was not tried.
        loss: Mean loss of held-out videos at the best temperature; None where it was not tried.
        against_probe: How much more often it is right than the chosen modality's probe, in points, with the
            95 % interval of the paired difference.
        seconds: What trying it took.
        how: Its settings, or why it was not tried.
    """

    name: str
    streams: Streams
    score: Mapping[str, float]
    loss: float | None
    against_probe: Mapping[str, float]
    seconds: float
    how: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tried:
    """A head that was tried: what it said of held-out videos, and what makes a plan of it.

    Attributes:
        row: Its row of the table.
        preset: Of its plan.
        head: See :class:`Choice`.
        held_out: float64 [V, C].
    """

    row: Row
    preset: str
    head: ClipHead
    held_out: Tensor


@dataclass(frozen=True, slots=True)
class Choice:
    """A head, and why it was chosen.

    Attributes:
        name: As in the rows.
        preset: Of the plan: "clip", or one that skims.
        streams: The plan's modalities.
        factor: The plan's sparse factor.
        classes: C names.
        head: Of preset "clip"; for one that skims, ``averaged``.
        averaged: The clip classifier, whose projections, Psi and classes a skimmer starts from.
        held_out: float64 [V, C], the head's logits of each training video by one that did not learn from it.
        rows: All that was tried.
        tried: The same with its heads, each learnt from all of the videos.
        reason: Why this one, as a sentence.
        temperature: Makes confidences come true.
        unsure: From which confidence on an answer is known.
        confused: Classes that were taken for one another.
    """

    name: str
    preset: str
    streams: Streams
    factor: int
    classes: tuple[str, ...]
    head: ClipHead
    averaged: ClipHead
    held_out: Tensor
    rows: tuple[Row, ...]
    tried: tuple[Tried, ...]
    reason: str
    temperature: float
    unsure: Threshold
    confused: tuple[Confusion, ...]

    def record(self) -> dict[str, Any]:
        """Return all of it but tensors, as JSON values."""
        left_out = {"head", "averaged", "held_out", "rows", "tried", "unsure", "confused"}
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in left_out}
        return plain | {
            "rows": [asdict(row) for row in self.rows],
            "unsure": asdict(self.unsure),
            "confused": [asdict(pair) for pair in self.confused],
        }


@dataclass(frozen=True, slots=True)
class Trial:
    """What heads are tried with.

    Attributes:
        config: The run.
        material: Videos, labels and folds.
        probe: The best one.
        averaged: The clip classifier of the same modalities.
    """

    config: Config
    material: Material
    probe: Probe
    averaged: Averaged


Train = Callable[[Trial], Tensor | str]
"""Trains a head in every fold; returns logits float64 [V, C] of held-out videos, or why it is not tried."""

SKIMMERS: dict[str, Train] = {
    "paper": lambda trial: skimmed(trial.config, trial.material, trial.averaged, "paper"),
    "paired": lambda trial: skimmed(trial.config, trial.material, trial.averaged, "paired"),
}
"""Presets that skim, each with what tries it; another one is tried once it is named here."""


def choose_head(
    config: Config,
    videos: Sequence[VideoEmbeddings],
    classes: Sequence[str],
    groups: Sequence[str] | None = None,
) -> Choice:
    """Choose modalities and head by cross-validation, and learn that head from all of the videos.

    Nothing but ``videos`` is looked at. The probe is what a plan gets unless another head tells held-out
    videos better: its sum with the clip classifier where that is right no less often, the clip classifier
    alone where the interval of the difference lies above 0; one that skims must be right more often by more
    than its standard error. Every preset that skims is tried with ``skim.preset`` "auto", none with "clip",
    and else the one that it names.

    Args:
        config: The run: ``model``, ``student``, ``skim``, ``seed``.
        videos: The training videos' embeddings.
        classes: C names, in the order of the logits.
        groups: What must not be parted, for each video: files of one source; by default the file it is of.

    Raises:
        ValueError: If there is nothing to learn from.
    """
    labels = labels_of(videos, classes)
    groups = [str(video.video.path) for video in videos] if groups is None else groups
    factor = factor_for(videos)
    folds = grouped_folds(labels, groups, FOLDS, config.seed)
    material = Material(videos, labels, folds, config.skim.several, factor)
    begin = time.monotonic()
    probes = fit_probes(material)
    seconds = time.monotonic() - begin
    best = min(probes.values(), key=lambda probe: probe.loss)
    judge = _Judge(material, best.held_out)
    tried = [
        judge("probe", probe.held_out, of_probe(probe), seconds=seconds, how=probe.how)
        for probe in (best, *(probe for probe in probes.values() if probe is not best))
    ]
    begin = time.monotonic()
    averaged = fit_averaged(material, best.streams, config)
    seconds = time.monotonic() - begin
    clip = judge("averaged", averaged.held_out, averaged.head, seconds=seconds, how=averaged.how)
    tried += [clip, _ensemble(judge, tried[0], clip)]
    trial = Trial(config, material, best, averaged)
    asked = config.skim.preset
    tried += [_skims(judge, trial, name, SKIMMERS[name]) for name in SKIMMERS if asked in ("auto", name)]
    winner, reason = decide(tried)
    return _chosen(winner, reason, tried, trial, classes)


def labels_of(videos: Sequence[VideoEmbeddings], classes: Sequence[str]) -> Tensor:
    """Return which classes each video has: bool [V, C]."""
    return torch.tensor([[name in video.video.labels for name in classes] for video in videos])


def factor_for(videos: Sequence[VideoEmbeddings]) -> int:
    """Return the sparse factor of an averaging plan: the greatest that leaves the median video enough.

    Frames of real clips differ: of 430 clips of 10 s, a probe on 8 frames told 5 points more than one on 4.
    """
    return max(1, int(median(len(video) for video in videos)) // _ENOUGH)


@dataclass(frozen=True, slots=True)
class _Judge:
    """Makes rows."""

    material: Material
    probe: Tensor

    def __call__(
        self,
        name: str,
        held_out: Tensor,
        head: ClipHead,
        *,
        seconds: float,
        how: Mapping[str, Any],
        preset: str = "clip",
    ) -> Tried:
        """Return a head with its row."""
        right, theirs = self.right(held_out), self.right(self.probe)
        row = Row(
            name,
            head.streams,
            accuracy(right),
            scaled_loss(held_out, self.material.labels, several=self.material.several),
            paired_difference(right, theirs),
            round(seconds, 2),
            how,
        )
        return Tried(row, preset, head, held_out)

    def right(self, logits: Tensor) -> list[bool]:
        """Whether the greatest logit of each video is at one of its labels."""
        best = logits.argmax(dim=1, keepdim=True)
        right: list[bool] = self.material.labels.gather(1, best)[:, 0].tolist()
        return right


def _ensemble(judge: _Judge, probe: Tried, clip: Tried) -> Tried:
    """Return the sum of the probe's and the averaged classifier's logits, in the best proportion."""
    begin = time.monotonic()
    labels, several = judge.material.labels, judge.material.several
    losses = {
        share: scaled_loss(probe.held_out + share * clip.held_out, labels, several=several)
        for share in _SHARES
    }
    share = min(losses, key=lambda share: losses[share])
    head = summed([probe.head, clip.head], [1.0, share])
    held_out = probe.held_out + share * clip.held_out
    seconds = time.monotonic() - begin
    return judge("ensemble", held_out, head, seconds=seconds, how={"share": share})


def _skims(judge: _Judge, trial: Trial, name: str, train: Train) -> Tried:
    begin = time.monotonic()
    found = train(trial)
    seconds, streams = time.monotonic() - begin, trial.probe.streams
    if isinstance(found, str):
        row = Row(name, streams, {}, None, {}, round(seconds, 2), {"not tried": found})
        return Tried(row, name, trial.averaged.head, torch.zeros(0))
    return judge(name, found, trial.averaged.head, seconds=seconds, how={}, preset=name)


def decide(tried: Sequence[Tried]) -> tuple[Tried, str]:
    """Return the head that a plan gets, and why: the first of ``tried`` unless others are better."""
    probe, *others = tried
    best = probe
    for other in others:
        row = other.row
        if row.loss is None or best.row.loss is None or row.name == "probe":
            continue
        points, low = row.against_probe["points"], row.against_probe["low"]
        if other.preset == "clip":
            # A sum with the probe stays near it; another head by itself must be shown to be better.
            enough = points >= 0 if row.name == "ensemble" else low > 0
            better = enough and row.loss < best.row.loss
        else:
            # Half of the interval is 1.96 standard errors.
            gain = row.score["top1"] - best.row.score["top1"]
            better = gain > 0 and points > (points - low) / 1.96
        best = other if better else best
    skims = [other.row for other in others if other.preset != "clip"]
    said = f"{best.row.name} on {' and '.join(best.row.streams)}"
    if best is probe:
        reason = f"{said}: no other head tells held-out training videos better"
    else:
        points = best.row.against_probe["points"]
        reason = f"{said}: held-out training videos are told better than by the probe ({points:+.1f} points)"
    if best.preset == "clip" and skims:
        reason += "; skimming " + ("did not help" if any(row.score for row in skims) else "was not tried")
    return best, reason


def _chosen(
    winner: Tried, reason: str, tried: Sequence[Tried], trial: Trial, classes: Sequence[str]
) -> Choice:
    material = trial.material
    logits, labels = winner.held_out, material.labels
    target = labels if material.several else labels.int().argmax(dim=1)
    temperature = fit_temperature(logits.float(), target)
    scaled = logits / temperature
    confidence = (scaled.sigmoid() if material.several else scaled.softmax(dim=1)).amax(dim=1)
    right = labels.gather(1, logits.argmax(dim=1, keepdim=True))[:, 0]
    return Choice(
        name=winner.row.name,
        preset=winner.preset,
        streams=winner.row.streams,
        factor=material.factor,
        classes=tuple(classes),
        head=winner.head,
        averaged=trial.averaged.head,
        held_out=logits,
        rows=tuple(entry.row for entry in tried),
        tried=tuple(tried),
        reason=reason,
        temperature=temperature,
        unsure=unsure_below(confidence, right),
        confused=tuple(confusions(logits, labels, classes)),
    )

"""How good a plan is on videos that were not learnt from, beside guessing and simpler ways to answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from l2l_engine import Classifier, Prediction
from l2l_engine.loading import Precision
from l2l_engine.media.sampling import Policy
from training.clips.students import load_student
from training.config import Config
from training.frozen.judging import Threshold, confusions
from training.journey.rows import score
from training.skimming.build import load_skimmer
from training.skimming.features import extract_features
from training.skimming.measure import skim_tracks
from training.skimming.sequences import to_sequences
from training.videos.manifest import Video

PLAN = "the plan"
_COMPARED = 20
"""Videos, about, on which a plan is compared with what made it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of a video: a class, or why there is none; how sure, calibrated; whether sure enough."""

    said: str
    confidence: float = 0.0
    known: bool = True


@dataclass(slots=True)
class Judged:
    """Held-out videos, and what several ways say of them.

    Attributes:
        videos: The videos.
        learnt: How many videos of each class there were to learn from; of each fold, where there are folds.
        fold: The fold of each video, which says of which of ``learnt`` it was held out.
        answers: By way, one answer a video; :data:`PLAN` is what is written.
        about: By way, what it does.
        heads: By fold, what answered.
        difference: How far the plan's confidences about files are from PyTorch's; None if not compared.
    """

    videos: list[Video]
    learnt: Mapping[str, Mapping[str, int]]
    fold: list[str]
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)
    difference: float | None = None

    def add(self, name: str, about: str, answers: Sequence[Answer]) -> None:
        """Add what a way says of some more of the videos, in their order."""
        self.answers.setdefault(name, []).extend(answers)
        self.about[name] = about

    def report(self, unsure: Threshold | None = None) -> dict[str, Any]:
        """Return all that the report says of it, as JSON values."""
        if not self.videos:
            return {"videos": 0}
        groups = [video.group or video.name for video in self.videos]
        common = {fold: max(counts, key=lambda c: counts[c]) for fold, counts in self.learnt.items()}
        guesses = [common[fold] for fold in self.fold]
        ways = {"always the commonest class": [Answer(guess) for guess in guesses], **self.answers}
        about = {"always the commonest class": ", ".join(sorted(set(guesses))), **self.about}
        right = {name: self._right(answers) for name, answers in ways.items()}
        rows = [
            {"name": name, "about": about[name], **score(good, groups), "right": sum(good)}
            for name, good in right.items()
        ]
        said = self.answers[PLAN]
        classes = sorted({video.label for video in self.videos})
        pairs = [(video.label, answer.said) for video, answer in zip(self.videos, said, strict=True)]
        names = {label for counts in self.learnt.values() for label in counts}
        return {
            **score(right[PLAN], groups),
            "right": sum(right[PLAN]),
            "chance": 1 / len(names),
            "majority": sum(right["always the commonest class"]) / len(self.videos),
            "majority_class": about["always the commonest class"],
            "groups": len(set(groups)),
            "rows": rows,
            "by_class": {
                label: {"videos": len(own), "right": sum(own)}
                for label in classes
                for own in [
                    [r for r, video in zip(right[PLAN], self.videos, strict=True) if video.label == label]
                ]
            },
            "confused": _confused(pairs, sorted(names | set(classes))),
            "unsure": _unsure(said, right[PLAN], unsure),
            "heads": self.heads,
            "difference": self.difference,
            "answers": [
                {
                    "video": str(video.path),
                    "label": video.label,
                    "said": answer.said,
                    "confidence": round(answer.confidence, 4),
                }
                for video, answer in zip(self.videos, said, strict=True)
            ],
        }

    def _right(self, answers: Sequence[Answer]) -> list[bool]:
        return [answer.said in video.labels for answer, video in zip(answers, self.videos, strict=True)]


def _confused(pairs: Sequence[tuple[str, str]], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return the pairs of classes that these answers do not tell apart, of (label, said)."""
    named = [pair for pair in pairs if pair[1] in classes]
    logits, labels = (
        functional.one_hot(torch.tensor([classes.index(pair[side]) for pair in named]), len(classes))
        for side in (1, 0)
    )
    return [
        {"classes": list(pair.classes), "videos": pair.videos, "confused": pair.swapped}
        for pair in confusions(logits, labels.bool(), classes)
        if pair.indistinct
    ]


def _unsure(
    said: Sequence[Answer], right: Sequence[bool], threshold: Threshold | None
) -> dict[str, Any] | None:
    """Return what the threshold does to answers: how many it leaves, and how many of these are right."""
    if threshold is None:
        return None
    kept = [good for answer, good in zip(said, right, strict=True) if answer.known]
    return {
        "threshold": threshold.confidence,
        "wanted": threshold.level,
        "reached": threshold.reached,
        "videos": len(right),
        "known": len(kept),
        "right": sum(kept),
    }


def files_said(plan: Path, videos: Sequence[Video], *, exactly: bool = False) -> dict[str, Answer]:
    """Return what a plan says of those videos that are whole files, by name.

    Args:
        plan: The plan.
        videos: Some videos.
        exactly: In float32, of the very frames at the timestamps; else as everybody is answered.
    """
    precision: Precision = "fp32" if exactly else "auto"
    sampling: Policy = "exact" if exactly else "auto"
    files = [video for video in videos if video.end is None and video.start == 0]
    said = {}
    with Classifier(plan, device="cpu", precision=precision) as classifier:
        paths = [video.path for video in files]
        answers = classifier.predict_many(paths, on_error="yield", sampling=sampling)
        for video, answer in zip(files, answers, strict=True):
            said[video.name] = (
                Answer(answer.label, float(answer.confidence), answer.known)
                if isinstance(answer, Prediction)
                else Answer(f"(no answer: {answer})")
            )
    return said


def difference(plan: Path, videos: Sequence[Video], own: Sequence[Answer]) -> float | None:
    """Return how far a plan's confidences about files are from those of its head about embeddings, at most.

    Both in float32, of the same moments, of some of the videos. An answer that is another class counts as
    wholly different.
    """
    some = slice(None, None, max(1, len(videos) // _COMPARED))
    said = files_said(plan, videos[some], exactly=True)
    gaps = [
        abs(said[video.name].confidence - answer.confidence) if said[video.name].said == answer.said else 1.0
        for video, answer in zip(videos[some], own[some], strict=True)
        if video.name in said
    ]
    return max(gaps, default=None)


def plan_answers(config: Config, plan: Path, name: str, videos: Sequence[Video]) -> list[Answer]:
    """Return what a plan says of files; of segments of files, what the same networks say.

    Args:
        config: The run that made the plan.
        plan: The plan.
        name: The set that the videos are of.
        videos: All of its videos.
    """
    said = files_said(plan, videos)
    if len(said) < len(videos):
        classes = load_student(config)[1]
        features = [f for f in extract_features(config, [name]) if f.video.name not in said]
        tracks = to_sequences(features, classes)
        logits = skim_tracks(load_skimmer(config, len(classes)), tracks, config.skim.steps, config.factor)
        for known, best in zip(features, logits.logits[:, -1].argmax(dim=1).tolist(), strict=True):
            said[known.video.name] = Answer(classes[best])
    return [said.get(video.name, Answer("(cannot be read)")) for video in videos]

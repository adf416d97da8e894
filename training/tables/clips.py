"""The clip table (Fig. 5): what one frame and a second of sound know of a clip, beside who sees all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from training.clips.comparison import ALL_STREAMS, Variant, percents, teacher_folder
from training.clips.pairs import Pairs, load_pairs
from training.clips.students import STREAMS, build_student, distilled_folder, load_student, run_student
from training.clips.teach import TeacherOutputs, build_teacher, cached_outputs, clip_pairs
from training.config import Config
from training.learning.losses import feature_distance
from training.learning.scores import Scored, mean_average_precision, top1
from training.models import Student
from training.tables.macs import Cost, classifier_cost, clip_cost, image_cost, window_cost
from training.videos.manifest import class_names
from training.videos.sets import load_sets

HELPED = 5
"""Classes and clips that are named where sound helps most."""
TEACHER = "teacher"
_NAMES = {"both": "image-audio", "image": "image only", "audio": "audio only"}


@dataclass(frozen=True, slots=True)
class _Method:
    """A row: a student by streams and start, or the teacher."""

    name: str
    streams: Literal["both", "image", "audio"] | None
    distilled: bool

    def folder(self, config: Config, share: float) -> Path:
        if self.streams is None:
            return teacher_folder(config, share)
        return Variant(self.streams, self.distilled, share).folder(config)


def methods() -> Iterator[_Method]:
    """The rows, in the table's order."""
    yield _Method(TEACHER, None, True)
    for streams in reversed(ALL_STREAMS):
        for distilled in (False, True):
            yield _Method(f"{_NAMES[streams]}, {'' if distilled else 'un'}distilled", streams, distilled)


def clip_tables(config: Config) -> dict[str, Any]:
    """Measure every clip classifier that was trained; the others are None.

    Returns:
        JSON values; empty where no comparison is configured.
    """
    if config.clips.test is None:
        return {}
    torch.set_num_threads(config.threads)
    classes = class_names(video for _, video in load_sets(config, config.student.train))
    taught = (config.folder("teacher") / "metrics.json").exists()
    test = load_pairs(
        config,
        (config.clips.test,),
        classes,
        count=config.teacher.clips,
        side=config.teacher.side if taught else None,
    )
    held, distances, helps = None, {}, None
    if taught:
        held = clip_pairs(config, config.teacher.validation, _source_classes(config))
        aims = cached_outputs(config, config.folder("teacher"), held, "validation")
        distances = _distances(config, held, aims)
        helps = _audio_helps(config, held, distances)
    costs = _costs(config, classes)
    return {
        "test": {"set": config.clips.test, **_about(test)},
        "held": held and {"sets": list(config.teacher.validation), **_about(held)},
        "source_is_target": config.teacher.train == config.student.train,
        "shares": [percents(share) for share in config.clips.shares],
        "rows": [
            {
                "method": method.name,
                **_cost_of(method, costs).to_plain(),
                "distance": _distance_of(method, distances),
                "shares": {
                    percents(share): _judge(config, method, share, test) for share in config.clips.shares
                },
            }
            for method in methods()
            # Without a teacher nothing is distilled.
            if config.teacher.train or not (method.streams is None or method.distilled)
        ],
        "audio_helps": helps,
    }


def _judge(config: Config, method: _Method, share: float, test: Pairs) -> dict[str, float] | None:
    """Top-1 and mAP of one classifier, None where it was not trained."""
    folder = method.folder(config, share)
    if not (folder / "metrics.json").exists():
        return None
    if method.streams is None:
        if teacher_folder(config, share) == config.folder("teacher") and share < 1:
            return None
        logits = cached_outputs(config, folder, test, "test").logits
    else:
        student, _ = load_student(config, folder)
        logits = run_student(student, test, STREAMS[method.streams]).logits
    scored = Scored(logits.softmax(dim=1).numpy(), test.labels)
    return {"top1": top1(scored), "map": mean_average_precision(scored)}


def _distances(config: Config, held: Pairs, aims: TeacherOutputs) -> dict[str, Tensor]:
    """The L1 distance of every clip [P] from the teacher's feature, by the distilled student's streams."""
    found: dict[str, Tensor] = {}
    for streams in ALL_STREAMS:
        folder = distilled_folder(Variant(streams, True, 1.0).config(config))
        if (folder / "metrics.json").exists():
            student, _ = load_student(config, folder)
            outputs = run_student(student, held, STREAMS[streams])
            found[streams] = feature_distance(aims.features, outputs.features)
    return found


def _distance_of(method: _Method, distances: Mapping[str, Tensor]) -> float | None:
    if method.streams is None:
        return 0.0
    if not method.distilled or method.streams not in distances:
        return None
    return float(distances[method.streams].mean())


def _audio_helps(config: Config, held: Pairs, distances: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Where the sound brings the student nearest to the teacher: classes, then single clips."""
    if not {"both", "image"} <= distances.keys():
        return None
    both, image = (distances[streams].numpy() for streams in ("both", "image"))
    labels = held.labels
    by_class = [
        _gain(name, float(image[labels[:, c]].mean()), float(both[labels[:, c]].mean()))
        for c, name in enumerate(held.classes)
        if labels[:, c].any()
    ]
    names = [f"{name}/{video.name}" for name, video in load_sets(config, config.teacher.validation)]
    by_clip = [
        _gain(names[video], float(image[row]), float(both[row]))
        | {"class": ", ".join(held.classes[c] for c in np.flatnonzero(labels[row]))}
        for row, video in enumerate(held.videos)
    ]
    return {"classes": _best(by_class), "clips": _best(by_clip)}


def _gain(name: str, image: float, both: float) -> dict[str, Any]:
    return {"name": name, "image": image, "both": both, "nearer": image - both}


def _best(gains: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(gains, key=lambda gain: -float(gain["nearer"]))[:HELPED]


def _costs(config: Config, classes: Sequence[str]) -> dict[str, Cost]:
    """Of a clip; weights make no difference to them."""
    student = build_student(config.model, len(classes)).eval()
    teacher = build_teacher(config.teacher, classes)
    return _student_costs(student) | {TEACHER: clip_cost(teacher, config.teacher.side)}


def _student_costs(student: Student) -> dict[str, Cost]:
    image, audio, rest = image_cost(student.image), window_cost(student.audio), classifier_cost(student)
    return {"both": image + audio + rest, "image": image + rest, "audio": audio + rest}


def _cost_of(method: _Method, costs: Mapping[str, Cost]) -> Cost:
    return costs[method.streams or TEACHER]


def _source_classes(config: Config) -> tuple[str, ...]:
    return class_names(video for _, video in load_sets(config, config.teacher.train))


def _about(pairs: Pairs) -> dict[str, int]:
    return {
        "videos": len(np.unique(pairs.videos)),
        "clips": len(pairs),
        "classes": len(pairs.classes),
    }

"""One manifest for all stages: every usable video with its split, and a report of what was left out."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from l2l_engine.errors import MediaError
from l2l_engine.media import open_media
from training.parallel import parallel_map
from training.prepare.layouts import LAYOUTS, AnnotationError, Library, Listed
from training.runs import write_atomically, write_json


@dataclass(frozen=True, slots=True)
class Options:
    """What to prepare.

    Attributes:
        videos: The folder that holds the files.
        output: Where ``manifest.jsonl`` and ``report.json`` go.
        layout: A name of ``LAYOUTS``.
        annotations: The data set's annotation files.
        validation, test: Shares of each class held out where the annotations name no split.
        least: Videos a class needs to be kept.
        workers: Processes that open videos.
    """

    videos: Path
    output: Path
    layout: str = "folders"
    annotations: tuple[Path, ...] = ()
    validation: float = 0.15
    test: float = 0.15
    least: int = 3
    workers: int = 2


@dataclass(frozen=True, slots=True)
class Probed:
    """What opening a file told, or why it could not be opened."""

    duration: float = 0.0
    has_video: bool = False
    has_audio: bool = False
    problem: str = ""


def prepare(options: Options) -> dict[str, Any]:
    """Write the manifest and the report; returns the report.

    The manifest is a line of JSON a video: path, label (the first), labels, split, duration and stretches in
    seconds, has_video, has_audio. Splits that the annotations name are kept.

    Raises:
        ValueError: If annotations are not what they should be, or nothing usable is left.
        OSError: If the folder or an annotation file cannot be read.
    """
    listed = list(LAYOUTS[options.layout](Library(options.videos), options.annotations))
    missing = [video for video in listed if not video.path.exists()]
    found = _unique(video for video in listed if video.path.exists())
    probes = list(parallel_map(probe, [video.path for video in found], options.workers))
    usable = [(v, p) for v, p in zip(found, probes, strict=True) if not p.problem]
    rare = _rare_classes([video for video, _ in usable], options.least)
    kept = [(v, p) for v, p in usable if not set(v.labels) <= rare]
    if not kept:
        raise AnnotationError(f"{options.videos}: of {len(listed)} videos listed, none can be used")
    split = hold_out([video for video, _ in kept], options.validation, options.test)
    lines = [_line(options.output, video, p, rare) for video, (_, p) in zip(split, kept, strict=True)]
    write_atomically(options.output / "manifest.jsonl", lambda file: file.write("".join(lines).encode()))
    report = {
        "listed": len(listed),
        "kept": len(kept),
        "without_sound": sum(not p.has_audio for _, p in kept),
        "without_picture": sum(not p.has_video for _, p in kept),
        "splits": dict(Counter(video.split for video in split)),
        "classes": _by_class(split, rare),
        "missing": [str(video.path) for video in missing],
        "unreadable": {str(v.path): p.problem for v, p in zip(found, probes, strict=True) if p.problem},
        "classes_with_too_few_videos": sorted(rare),
    }
    write_json(options.output / "report.json", report)
    return report


def probe(path: Path) -> Probed:
    """Open a file, and decode as much of it as shows that it can be decoded."""
    try:
        with open_media(path) as source:
            start = np.zeros(1)
            if source.has_video and not source.frames(start, short_side=128, crop=112).valid.any():
                return Probed(problem=f"{path}: its first frame cannot be decoded")
            return Probed(source.duration, source.has_video, source.has_audio)
    except MediaError as error:
        return Probed(problem=str(error))


def hold_out(videos: Sequence[Listed], validation: float, test: float) -> list[Listed]:
    """Give a split to the videos without one: shares of each class, by a hash of the name.

    So the same footage always falls on the same side, and what is added later moves little else. Each share
    above 0 gets at least one video of a class, as long as one is left to learn from.
    """
    by_class: dict[str, list[int]] = defaultdict(list)
    for number, video in enumerate(videos):
        if not video.split:
            by_class[video.labels[0]].append(number)
    result = list(videos)
    for numbers in by_class.values():
        order = sorted(numbers, key=lambda n: hashlib.sha256(videos[n].path.name.encode()).digest())
        left = len(order) - 1
        for name, share in (("test", test), ("validation", validation)):
            count = min(left, max(1, round(share * len(order)))) if share > 0 else 0
            left -= count
            for number in order[:count]:
                result[number] = replace(videos[number], split=name)
            order = order[count:]
        for number in order:
            result[number] = replace(videos[number], split="train")
    return result


def _unique(videos: Iterable[Listed]) -> list[Listed]:
    """One entry a file: what several lines of annotations say about it, together."""
    by_path: dict[Path, Listed] = {}
    for video in videos:
        known = by_path.get(video.path)
        if known is None:
            by_path[video.path] = video
            continue
        labels = tuple(dict.fromkeys(known.labels + video.labels))
        # Where one line means all of the video, so do all of them together.
        both = bool(known.stretches and video.stretches)
        stretches = tuple(sorted({*known.stretches, *video.stretches})) if both else ()
        by_path[video.path] = replace(known, labels=labels, stretches=stretches)
    return list(by_path.values())


def _rare_classes(videos: Sequence[Listed], least: int) -> set[str]:
    counts = Counter(label for video in videos for label in video.labels)
    return {label for label, count in counts.items() if count < least}


def _by_class(videos: Sequence[Listed], rare: set[str]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for video in videos:
        for label in video.labels:
            if label not in rare:
                counts[label][video.split] += 1
    return {label: dict(counts[label]) for label in sorted(counts)}


def _line(output: Path, video: Listed, probed: Probed, rare: set[str]) -> str:
    labels = [label for label in video.labels if label not in rare]
    stretches = [
        (start, min(end, probed.duration)) for start, end in video.stretches if start < probed.duration
    ]
    entry = {
        "path": str(video.path.absolute()),
        "label": labels[0],
        "labels": labels,
        "split": video.split,
        "duration": round(probed.duration, 6),
        "stretches": stretches or [(0.0, probed.duration)],
        "has_video": probed.has_video,
        "has_audio": probed.has_audio,
    }
    return json.dumps(entry, ensure_ascii=False) + "\n"

"""One manifest for all stages: every usable video with its split, and a report of what was left out."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from l2l_engine.media.folders import SUFFIXES
from training.errors import InputError
from training.prepare.annotations import AnnotationError, Span
from training.prepare.footage import Probed, probe_all, repeated, safe, state
from training.prepare.groups import sources
from training.prepare.layouts import LAYOUTS, Listed
from training.prepare.library import Library, subfolders, visible_files
from training.prepare.splits import hold_out
from training.runs.files import write_atomically, write_json


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

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise InputError(f"layout {self.layout!r} is none of {', '.join(LAYOUTS)}")
        if min(self.validation, self.test) < 0 or self.validation + self.test >= 1:
            raise InputError("the shares of validation and test must be 0 or more, and together below 1")
        if self.least < 1:
            raise InputError(f"a class is kept from 1 video on, not {self.least}")
        if self.workers < 0:
            raise InputError(f"there cannot be {self.workers} workers")


def prepare(options: Options) -> dict[str, Any]:
    """Write the manifest and the report; returns the report.

    The manifest is a line of JSON a video: path, name, label (the first), labels, split, start, end (null for
    that of the file), duration and stretches in seconds, has_video, has_audio, pixels (a second), group (what
    it was cut from: videos of one group never stand in two splits), and fold, if the annotations name any.
    Splits that the annotations name are kept.

    Raises:
        InputError: If annotations are not what they should be, or nothing usable is left.
        OSError: If the folder or an annotation file cannot be read.
    """
    library = Library(options.videos)
    listed = list(LAYOUTS[options.layout](library, options.annotations))
    found = _united(video for video in listed if video.path.is_file())
    probes = probe_all([video.path for video in found], options.workers, options.output / "probed.json")
    problems = {safe(path): probed.problem for path, probed in probes.items() if probed.problem}
    usable = [video for video in found if not probes[video.path].problem]
    beyond = [v for v in usable if v.segment is not None and v.segment[0] >= probes[v.path].duration]
    problems |= {_shown(video): "begins after the end of the file" for video in beyond}
    twice = repeated(usable)
    usable = [video for video in usable if video not in beyond and video.path not in twice]
    rare = _rare_classes(usable, options.least)
    kept = [video for video in usable if not set(video.labels) <= rare]
    if not kept:
        reasons = [*problems.values(), *twice.values()]
        why = reasons[0] if reasons else f"no class has {options.least} of them"
        raise AnnotationError(f"{options.videos}: of {len(listed)} videos listed, none can be used: {why}")
    groups = sources(kept)
    # Folds, which annotations name, hold out every video in its turn.
    shares = (0.0, 0.0) if any(video.fold for video in kept) else (options.validation, options.test)
    split = hold_out(kept, *shares, groups)
    unlearnt = _not_in_training(split)
    split = [video for video in split if not set(video.labels) <= rare | unlearnt]
    lines = [
        json.dumps(_entry(options.videos, video, probes[video.path], rare | unlearnt, groups))
        for video in split
    ]
    write_atomically(
        options.output / "manifest.jsonl", lambda file: file.write("\n".join([*lines, ""]).encode())
    )
    report = {
        "listed": len(listed),
        "kept": len(split),
        "seconds": round(sum(json.loads(line)["duration"] for line in lines), 1),
        "without_sound": sum(not probes[video.path].has_audio for video in split),
        "without_picture": sum(not probes[video.path].has_video for video in split),
        "splits": dict(Counter(video.split for video in split)),
        "classes": _by_class(split, rare | unlearnt),
        "missing": [safe(video.path) for video in listed if not video.path.is_file()],
        "unreadable": problems,
        "repeated": {safe(path): why for path, why in twice.items()},
        "splits_given": sorted({video.split for video in kept if video.split}),
        "folds_given": sorted({video.fold for video in split if video.fold}),
        "sources": _by_source(split, groups),
        "classes_with_too_few_videos": sorted(rare),
        "classes_not_in_training": sorted(unlearnt),
        **_left_aside(library, options.layout, listed),
    }
    write_json(options.output / "report.json", report)
    return report


def _united(videos: Iterable[Listed]) -> list[Listed]:
    """Return one entry a video: what several lines of annotations say about it, together."""
    by_place: dict[tuple[Path, Span | None], Listed] = {}
    for video in videos:
        place = video.path, video.segment
        known = by_place.get(place)
        if known is None:
            by_place[place] = video
            continue
        labels = tuple(dict.fromkeys(known.labels + video.labels))
        # Where one line means all of the video, so do all of them together.
        both = bool(known.stretches and video.stretches)
        stretches = tuple(sorted({*known.stretches, *video.stretches})) if both else ()
        by_place[place] = replace(known, labels=labels, stretches=stretches)
    return list(by_place.values())


def _rare_classes(videos: Sequence[Listed], least: int) -> set[str]:
    counts = Counter(label for video in videos for label in video.labels)
    return {label for label, count in counts.items() if count < least}


def _not_in_training(videos: Sequence[Listed]) -> set[str]:
    """Return classes of which all is held out, so that they cannot be learnt; none where nothing is."""
    learnt = {label for video in videos if video.split == "train" for label in video.labels}
    return {label for video in videos for label in video.labels} - learnt if learnt else set()


def _by_class(videos: Sequence[Listed], rare: set[str]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for video in videos:
        for label in video.labels:
            if label not in rare:
                counts[label][video.split] += 1
    return {label: dict(counts[label]) for label in sorted(counts)}


def _by_source(videos: Sequence[Listed], groups: Mapping[Path, str]) -> dict[str, list[str]]:
    """Return the files of each source that has several; those that annotations part are parted still."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in dict.fromkeys(video.path for video in videos):
        if path in groups:
            found[groups[path]].append(safe(path))
    return {source: paths for source, paths in sorted(found.items()) if len(paths) > 1}


def _left_aside(library: Library, layout: str, listed: Sequence[Listed]) -> dict[str, list[str]]:
    """Find files of the folder that no one asked for, and class folders without any video."""
    wanted = {video.path for video in listed}
    others = [path for path in visible_files(library.root) if path.suffix.lower() not in SUFFIXES]
    empty = [path for path in subfolders(library.root) if not any(w.is_relative_to(path) for w in wanted)]
    return {
        "not_listed": [safe(path) for path in library.paths if path not in wanted],
        "no_media": [safe(path) for path in others] if layout == "folders" else [],
        "empty_folders": [safe(path) for path in empty] if layout == "folders" else [],
    }


def _shown(video: Listed) -> str:
    return safe(video.path) if video.segment is None else f"{safe(video.path)} from {video.segment[0]:g} s"


def _entry(
    root: Path, video: Listed, probed: Probed, others: set[str], groups: Mapping[Path, str]
) -> dict[str, Any]:
    labels = [label for label in video.labels if label not in others]
    start, end = video.segment or (0.0, probed.duration)
    end = min(end, probed.duration)
    stretches = [
        (max(start, first), min(end, last)) for first, last in video.stretches if first < end and last > start
    ]
    return {
        "path": str(video.path.absolute()),
        "name": _name(root, video),
        "label": labels[0],
        "labels": labels,
        "split": video.split,
        "start": start,
        "end": None if video.segment is None else end,
        "duration": round(end - start, 6),
        "stretches": stretches or [(start, end)],
        "has_video": probed.has_video,
        "has_audio": probed.has_audio,
        "pixels": round(probed.pixels),
        "group": groups.get(video.path) or safe(video.path),
    } | ({"fold": video.fold} if video.fold else {})


def _name(root: Path, video: Listed) -> str:
    """Return a name that no other video has, and that changes when the file does: caches go by it."""
    path = video.path.relative_to(root) if video.path.is_relative_to(root) else video.path
    whole = f"{safe(path)} {video.segment} {state(video.path)}"
    readable = re.sub(r"\W+", "-", video.path.stem.encode(errors="replace").decode())[:32]
    return f"{readable}-{hashlib.sha256(whole.encode()).hexdigest()[:12]}"

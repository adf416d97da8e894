"""Manifests: which videos there are and what happens when."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.errors import InputError


@dataclass(frozen=True, slots=True)
class Video:
    """One labelled video: a file, or a segment of one.

    All times are seconds on the file's own clock, also those of a segment.

    Attributes:
        path: The file.
        name: Unique within its set; names its cached features.
        labels: Its classes, one or more.
        duration: Seconds from ``start`` to the end.
        stretches: (start, end) where the action is; all of the video, if nothing more is known.
        start: Where it begins.
        end: Where it ends; None for the end of the file.
        group: What it was cut from, or the like: videos of one group never stand in two splits or folds. Its
            own name where nothing is known of others.
        fold: The fold that its annotations put it into; empty where they do not say.
    """

    path: Path
    name: str
    labels: tuple[str, ...]
    duration: float
    stretches: tuple[tuple[float, float], ...]
    start: float = 0.0
    end: float | None = None
    group: str = ""
    fold: str = ""

    @property
    def label(self) -> str:
        """Its class, or the first of several."""
        return self.labels[0]


def read_manifest(path: Path, split: str | None = None) -> list[Video]:
    """Read a manifest.

    Args:
        path: A file of one JSON object a line, or the folder that holds it as ``manifest.jsonl``.
        split: Only the entries of this split; all of them by default.

    Raises:
        InputError: If there is no such file, a line is no manifest entry (the message names file and line),
            or two entries have the same name.
    """
    path = path / "manifest.jsonl" if path.is_dir() else path
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a manifest: {error}") from error
    videos: dict[str, Video] = {}
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            video = _entry(path.parent, entry)
            wanted = split is None or entry["split"] == split
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(f"{path}:{number}: no manifest entry: {error!r}") from error
        if wanted and videos.setdefault(video.name, video) is not video:
            raise InputError(f"{path}:{number}: the name {video.name!r} stands twice")
    return list(videos.values())


def _entry(folder: Path, entry: dict[str, Any]) -> Video:
    labels = entry["labels"] if "labels" in entry else [entry["label"]]
    if not isinstance(labels, list) or not labels:
        raise ValueError("no labels")
    name = str(entry.get("name", Path(entry["path"]).stem))
    return Video(
        path=folder / entry["path"],
        name=name,
        labels=tuple(str(label) for label in labels),
        duration=float(entry["duration"]),
        stretches=tuple((float(start), float(end)) for start, end in entry["stretches"]),
        start=float(entry.get("start", 0.0)),
        end=None if entry.get("end") is None else float(entry["end"]),
        group=str(entry.get("group") or name),
        fold=str(entry.get("fold") or ""),
    )


def class_names(videos: Iterable[Video]) -> tuple[str, ...]:
    """Return the labels that occur, sorted: the order of the logits."""
    return tuple(sorted({label for video in videos for label in video.labels}))

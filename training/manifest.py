"""Manifests: which videos there are and what happens when."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.config import Config, RenderConfig, to_plain
from training.errors import InputError
from training.runs import file_fingerprint


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
    """

    path: Path
    name: str
    labels: tuple[str, ...]
    duration: float
    stretches: tuple[tuple[float, float], ...]
    start: float = 0.0
    end: float | None = None

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
    return Video(
        path=folder / entry["path"],
        name=str(entry.get("name", Path(entry["path"]).stem)),
        labels=tuple(str(label) for label in labels),
        duration=float(entry["duration"]),
        stretches=tuple((float(start), float(end)) for start, end in entry["stretches"]),
        start=float(entry.get("start", 0.0)),
        end=None if entry.get("end") is None else float(entry["end"]),
    )


def class_names(videos: Iterable[Video]) -> tuple[str, ...]:
    """The labels that occur, sorted: the order of the logits."""
    return tuple(sorted({label for video in videos for label in video.labels}))


def render_set(config: Config, name: str) -> Path:
    """Render the set ``name``, or encode it again; the tools themselves skip what is already there.

    A set of footage (``[sets.name]``) is there already.

    Returns:
        The manifest, or the folder that holds it.

    Raises:
        InputError: If the configuration has no such set.
    """
    if name in config.sets:
        return Path(config.sets[name].manifest)
    folder = config.folder("data", name)
    if name in config.reencode:
        again = config.reencode[name]
        source = render_set(config, again.source)
        command = [sys.executable, "-m", "training.data.reencode", "--input", str(source)]
        command += ["--output", str(folder), "--gop", str(again.gop)]
    elif name in config.render:
        command = [sys.executable, "-m", *_generator(config.render[name]), "--output", str(folder)]
    else:
        raise InputError(f"the configuration has no set {name!r} under render, reencode or sets")
    subprocess.run(command, check=True)
    return folder


def describe_set(config: Config, name: str) -> dict[str, Any]:
    """What makes a set what it is, as JSON values: caches and checkpoints are tied to it.

    Raises:
        InputError: If the configuration has no such set, or its manifest cannot be read.
    """
    if name in config.render:
        return to_plain(config.render[name])
    if name in config.reencode:
        again = config.reencode[name]
        return {"reencode": to_plain(again), "source": describe_set(config, again.source)}
    path = render_set(config, name)
    path = path / "manifest.jsonl" if path.is_dir() else path
    try:
        return {"manifest": file_fingerprint(path), "split": config.sets[name].split}
    except OSError as error:
        raise InputError(f"{path}: cannot be read as a manifest: {error}") from error


def _generator(settings: RenderConfig) -> list[str]:
    """The module that renders a set, and its arguments."""
    numbers = ["--seed", str(settings.seed), "--count", str(settings.count)]
    if settings.digits is not None:
        clips = ["--clips"] if settings.split == "clips" else []
        return [
            *["training.data.digits", "--data", settings.digits, "--split", settings.recordings],
            *numbers,
            *clips,
        ]
    ranges = ["--config", settings.config] if settings.config is not None else []
    universe = ["--universe", settings.universe]
    return ["training.data.synth", "--split", settings.split, *universe, *numbers, *ranges]


def load_sets(config: Config, names: Iterable[str]) -> list[tuple[str, Video]]:
    """The videos of several sets, each with its set's name; generated sets are rendered where missing."""
    return [
        (name, video)
        for name in names
        for video in read_manifest(
            render_set(config, name), config.sets[name].split if name in config.sets else None
        )
    ]

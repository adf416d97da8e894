"""Manifests: which videos there are and what happens when."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from training.config import Config, RenderConfig


@dataclass(frozen=True, slots=True)
class Video:
    """One labelled video.

    Attributes:
        path: The file.
        name: Unique within its set; names its cached features.
        label: Its class.
        duration: Seconds.
        stretches: (start, end) in seconds, where the action is.
    """

    path: Path
    name: str
    label: str
    duration: float
    stretches: tuple[tuple[float, float], ...]


def read_manifest(folder: Path) -> list[Video]:
    """Read ``manifest.jsonl`` of a folder.

    Raises:
        ValueError: If a line is no manifest entry; the message names file and line.
    """
    path = folder / "manifest.jsonl"
    videos = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            entry = json.loads(line)
            videos.append(
                Video(
                    path=folder / entry["path"],
                    name=Path(entry["path"]).stem,
                    label=str(entry["label"]),
                    duration=float(entry["duration"]),
                    stretches=tuple((float(start), float(end)) for start, end in entry["stretches"]),
                )
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}:{number}: no manifest entry: {error!r}") from error
    return videos


def class_names(videos: Iterable[Video]) -> tuple[str, ...]:
    """The labels that occur, sorted: the order of the logits."""
    return tuple(sorted({video.label for video in videos}))


def render_set(config: Config, name: str) -> Path:
    """Render the set ``name``, or encode it again; the tools themselves skip what is already there.

    Returns:
        The folder that holds it.
    """
    folder = config.folder("data", name)
    if name in config.reencode:
        again = config.reencode[name]
        source = render_set(config, again.source)
        command = [sys.executable, "-m", "training.data.reencode", "--input", str(source)]
        command += ["--output", str(folder), "--gop", str(again.gop)]
    else:
        command = [sys.executable, "-m", *_generator(config.render[name]), "--output", str(folder)]
    subprocess.run(command, check=True)
    return folder


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
    """The videos of several sets, rendered where they are missing, each with its set's name."""
    return [(name, video) for name in names for video in read_manifest(render_set(config, name))]

"""The sets that a configuration names: generated, encoded again, or footage that a manifest lists."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from training.config import Config, RenderConfig, to_plain
from training.errors import InputError
from training.runs.files import file_fingerprint
from training.videos.manifest import Video, read_manifest


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
    _generate(*command)
    return folder


@cache
def _generate(*command: str) -> None:
    """Run a tool; what it has finished once is not looked at again by this process."""
    subprocess.run(command, check=True)


def describe_set(config: Config, name: str) -> dict[str, Any]:
    """Return what makes a set what it is, as JSON values: caches and checkpoints are tied to it.

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
    """Return the module that renders a set, and its arguments."""
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
    """Read the videos of several sets, with their set's name; generated ones are rendered where missing."""
    return [
        (name, video)
        for name in names
        for video in read_manifest(
            render_set(config, name), config.sets[name].split if name in config.sets else None
        )
        if not _left_out(config, name, video)
    ]


def _left_out(config: Config, name: str, video: Video) -> bool:
    without = config.render[name].without if name in config.render else ()
    return any(word in without for label in video.labels for word in label.split())

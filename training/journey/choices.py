"""Settings for footage that nobody has seen yet: by how much of it there is, and what is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from l2l_engine.machine import processors
from training.config import Config
from training.config.parse import build, override, read_toml
from training.errors import InputError
from training.models.backbones import RESNET

DEFAULTS = Path(__file__).parents[1] / "configs" / "own.toml"

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Footage:
    """What a manifest holds.

    Attributes:
        manifest: The file.
        counts: Videos by class and split.
        durations: Seconds of each video.
        heard, seen: How many have sound, and pictures.
        several: Whether any has more than one label.
    """

    manifest: Path
    counts: Mapping[str, Mapping[str, int]]
    durations: Sequence[float]
    heard: int
    seen: int
    several: bool

    def in_split(self, split: str) -> bool:
        """Whether any video is in a split."""
        return any(by_split.get(split) for by_split in self.counts.values())


USUAL = Footage(
    Path("manifest.jsonl"), {"any": {"train": 1}}, durations=[60.0], heard=1, seen=1, several=False
)
"""Stands for footage that nobody has opened yet, to check all settings that do not depend on it."""


def survey(manifest: Path) -> Footage:
    """Read what is to be known of a manifest that ``prepare`` wrote.

    Raises:
        InputError: If nothing can be learnt from it.
    """
    lines = manifest.read_text(encoding="utf-8").splitlines()
    try:
        entries = [json.loads(line) for line in lines]
        counts: dict[str, dict[str, int]] = {}
        for entry in entries:
            for label in entry["labels"]:
                by_split = counts.setdefault(label, {})
                by_split[entry["split"]] = by_split.get(entry["split"], 0) + 1
        footage = Footage(
            manifest,
            counts,
            [float(entry["duration"]) for entry in entries],
            sum(bool(entry["has_audio"]) for entry in entries),
            sum(bool(entry["has_video"]) for entry in entries),
            any(len(entry["labels"]) > 1 for entry in entries),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{manifest}: not written by `prepare`: {error!r}") from error
    learnt = [label for label, by_split in counts.items() if by_split.get("train")]
    if len(learnt) < 2:
        raise InputError(f"{manifest}: {len(learnt)} class to learn; there must be two to tell apart")
    return footage


def held_out(footage: Footage) -> dict[str, str]:
    """Return which splits tell the temperature ("validation") and the score ("test"); no "test", no score.

    Nothing is chosen by validation but the temperature, which leaves the order of the classes as it is; so
    the same videos may tell the score.
    """
    splits = [split for split in ("validation", "test") if footage.in_split(split)]
    if not splits:
        return {"validation": "train"}
    return {"validation": splits[0], "test": splits[-1]}


def choose(footage: Footage) -> dict[str, Any]:
    """Return the settings that depend on the footage, as a configuration file would say them."""
    number = sum(by_split.get("train", 0) for by_split in footage.counts.values())
    pairs = min(12, max(4, round(4000 / number)))
    # About as many pairs seen in all, be there few videos or many.
    epochs = min(60, max(8, round(60000 / (number * pairs))))
    seconds = median(footage.durations)
    cores = processors()
    splits = held_out(footage)
    streams = "both" if footage.heard and footage.seen else "image" if footage.seen else "audio"
    plain: dict[str, Any] = {
        # Threads of one operation wait for the slowest of them: most of the time, where decoders or another
        # program have its core.
        "threads": max(1, cores // 2),
        "workers": cores,
        "factor": 2 if seconds < 20 else 3 if seconds < 60 else 5,
        "sets": {split: {"manifest": str(footage.manifest), "split": split} for split in SPLITS},
        "student": {
            "pairs": pairs,
            "epochs": epochs,
            "streams": streams,
            "validation": [splits["validation"]],
        },
        "skim": {
            "validation": [splits["validation"]],
            "steps": 5 if seconds < 20 else 10,
            "updates": min(4000, max(400, 20 * number)),
            "preset": "paper" if streams == "image" else "paired",
            # A plan without sound is one that nobody expects to hear anything.
            "modalities": ["image"] if streams == "image" else ["image", "audio"],
            "output": "sigmoid" if footage.several else "softmax",
        },
    }
    if torch.cuda.is_available():
        plain["model"] = {"image_width": 1.0, "audio_width": 1.0, "features": 512, "fusion": 1024}
        plain["model"] |= {"keys": 512, "hidden": 1024}
    return plain


def own_config(
    footage: Footage, *, config: Path | None, overrides: Sequence[str], work: Path, plan: Path
) -> Config:
    """Merge the defaults, the choices for the footage, a configuration file and overrides; the last wins.

    Raises:
        ValueError: If a setting is unknown or of the wrong type; the message names it.
        OSError: If the file cannot be read.
    """
    asked = override({} if config is None else read_toml(config), overrides)
    plain = merged(read_toml(DEFAULTS), choose(footage))
    model = asked.get("model")
    if isinstance(model, Mapping) and model.get("image", RESNET) != RESNET:
        # The default width is one of ResNet-18; published encoders have but one.
        del plain["model"]["image_width"]
    plain = merged(plain, asked) | {"work": str(work), "plan": str(plan)}
    return build(Config, plain, str(config or "settings"))


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two configurations, table by table; what ``above`` says wins."""
    result = dict(below)
    for name, value in above.items():
        known = result.get(name)
        both = isinstance(value, Mapping) and isinstance(known, Mapping)
        result[name] = merged(known, value) if both else value  # type: ignore[arg-type]
    return result

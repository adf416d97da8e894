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
from training.journey.start import Start, best_start
from training.models.backbones import RESNET

DEFAULTS = Path(__file__).parents[1] / "configs" / "own.toml"

SPLITS = ("train", "validation", "test")

_BACKGROUND = frozenset(
    ("background", "background noise", "background_noise", "negative", "negatives", "unlabelled", "unlabeled")
)
"""What folders of footage without any of the classes are called."""
_LONG, _LONGER = 30.0, 3.0
"""Seconds of a long test video, and how many times as long as training videos it has to be."""


@dataclass(frozen=True, slots=True)
class Footage:
    """What a manifest holds.

    Attributes:
        manifest: The file.
        counts: Videos by class and split.
        durations: Seconds of each video.
        heard, seen: How many have sound, and pictures.
        several: Whether any has more than one label.
        background: Classes that stand for footage without any of the others.
        untrimmed: Whether the plan is for files that hold much else beside an action.
        reasons: What is to be said of that, a sentence each.
        given: Whether somebody else than us said what it is to be tested on, and nothing may be chosen by it.
    """

    manifest: Path
    counts: Mapping[str, Mapping[str, int]]
    durations: Sequence[float]
    heard: int
    seen: int
    several: bool
    background: tuple[str, ...] = ()
    untrimmed: bool = False
    reasons: tuple[str, ...] = ()
    given: bool = False

    def in_split(self, split: str) -> bool:
        """Whether any video is in a split."""
        return self.count(split) > 0

    def count(self, split: str) -> int:
        """Return how many videos are in a split; one with several labels counts for each."""
        return sum(by_split.get(split, 0) for by_split in self.counts.values())

    def modalities(self) -> tuple[str, ...]:
        """Return what can be learnt from, of "image" and "audio"."""
        there = (("image", self.seen), ("audio", self.heard))
        return tuple(name for name, videos in there if videos)


USUAL = Footage(
    Path("manifest.jsonl"), {"any": {"train": 1}}, durations=[60.0], heard=1, seen=1, several=False
)
"""Stands for footage that nobody has opened yet, to check all settings that do not depend on it."""


def survey(manifest: Path, *, untrimmed: bool | None = None) -> Footage:
    """Read what is to be known of a manifest that ``prepare`` wrote.

    Args:
        manifest: The file.
        untrimmed: Whether the plan is for long files; None to see by what the footage holds.

    Raises:
        InputError: If nothing can be learnt from it.
    """
    lines = manifest.read_text(encoding="utf-8").splitlines()
    try:
        entries = [json.loads(line) for line in lines]
        long = untrimmed, _by_length(entries)
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
            **_untrimmed(counts, *long),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{manifest}: not written by `prepare`: {error!r}") from error
    learnt = [
        label
        for label, by_split in counts.items()
        if by_split.get("train") and label not in footage.background
    ]
    if len(learnt) < 2:
        raise InputError(f"{manifest}: {len(learnt)} class to learn; there must be two to tell apart")
    return footage


def _untrimmed(counts: Mapping[str, Mapping[str, int]], asked: bool | None, longer: float) -> dict[str, Any]:
    """Return what the plan is for, and why."""
    background = tuple(label for label in counts if label.strip("_ ").casefold() in _BACKGROUND)
    reasons = []
    if background:
        reasons.append(
            f"{', '.join(background)}: taken for footage without any of the other classes; never an answer."
        )
    if asked:
        why = "you asked for it"
    elif background:
        why = "there is footage without a label"
    elif longer >= _LONGER:
        why = f"what it is to be tested on is {longer:.0f} times as long as what it learns from"
    else:
        why = ""
    if why:
        reasons.append(f"The plan is for long files that hold much else ({why}): clips are joined to such.")
    return {"background": background, "untrimmed": bool(why), "reasons": tuple(reasons)}


def _by_length(entries: Sequence[Mapping[str, Any]]) -> float:
    """Return how many times as long videos to test on are as videos to learn from; 0 where nobody can say."""
    lengths = {
        split: [float(entry["duration"]) for entry in entries if entry["split"] == split] for split in SPLITS
    }
    if not lengths["test"] or not lengths["train"] or median(lengths["test"]) < _LONG:
        return 0.0
    marked = any(
        entry.get("stretches", [[0.0, entry["duration"]]]) != [[0.0, entry["duration"]]] for entry in entries
    )
    # Where the annotations say when actions happen, training videos are as long as they should be.
    return 0.0 if marked else median(lengths["test"]) / median(lengths["train"])


def held_out(footage: Footage) -> dict[str, str]:
    """Return which splits tell the temperature ("validation") and the score ("test"); no "test", no score.

    Nothing is chosen by validation but the temperature, which leaves the order of the classes as it is; so
    the same videos may tell the score, unless they were given for that alone.
    """
    splits = [split for split in ("validation", "test") if footage.in_split(split)]
    if not splits:
        return {"validation": "train"}
    only_test = footage.given and splits == ["test"]
    return {"validation": "train" if only_test else splits[0], "test": splits[-1]}


def choose(footage: Footage) -> dict[str, Any]:
    """Return the settings that depend on the footage, as a configuration file would say them."""
    number = footage.count("train")
    pairs = min(12, max(4, round(4000 / number)))
    # About as many pairs seen in all, be there few videos or many.
    epochs = min(60, max(8, round(60000 / (number * pairs))))
    seconds = median(footage.durations)
    cores = processors()
    splits = held_out(footage)
    modalities = footage.modalities()
    streams = "both" if len(modalities) > 1 else modalities[0]
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
            "preset": "paired" if streams == "both" else "paper",
            # A plan without sound is one that nobody expects to hear anything; nor does one without pictures
            # look.
            "modalities": list(modalities),
            "output": "sigmoid" if footage.several else "softmax",
        },
    }
    if torch.cuda.is_available():
        plain["model"] = {"image_width": 1.0, "audio_width": 1.0, "features": 512, "fusion": 1024}
        plain["model"] |= {"keys": 512, "hidden": 1024}
    return plain


@dataclass(frozen=True, slots=True)
class Chosen:
    """All settings, and what the encoders start from."""

    config: Config
    start: Start


def choose_config(
    footage: Footage,
    *,
    config: Path | None,
    overrides: Sequence[str],
    work: Path,
    plan: Path,
    weights: Path | None = None,
) -> Chosen:
    """Merge the defaults, the choices for the footage, a configuration file and overrides; the last wins.

    Args:
        footage: What there is.
        config, overrides: What a user has set.
        work, plan: Where things go.
        weights: A folder of published weights.

    Raises:
        ValueError: If a setting is unknown or of the wrong type; the message names it.
        OSError: If the file cannot be read.
    """
    asked = override({} if config is None else read_toml(config), overrides)
    model = asked.get("model")
    start = best_start(
        footage.modalities(),
        footage.count("train"),
        weights=weights,
        gpu=torch.cuda.is_available(),
        asked=model if isinstance(model, Mapping) else {},
    )
    plain = merged(read_toml(DEFAULTS), choose(footage))
    plain = merged(plain, {"model": start.model})
    if start.frozen:
        plain["skim"]["preset"] = "auto"
    for part in ("image", "audio"):
        own = merged(plain, asked)["model"]
        if own.get(part, RESNET) != RESNET or own.get(f"{part}_weights"):
            # The default width is one of ResNet-18 from random weights; whatever is published has but one.
            plain["model"].pop(f"{part}_width", None)
    plain = merged(plain, asked) | {"work": str(work), "plan": str(plan)}
    return Chosen(build(Config, plain, str(config or "settings")), start)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two configurations, table by table; what ``above`` says wins."""
    result = dict(below)
    for name, value in above.items():
        known = result.get(name)
        both = isinstance(value, Mapping) and isinstance(known, Mapping)
        result[name] = merged(known, value) if both else value  # type: ignore[arg-type]
    return result

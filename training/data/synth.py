"""Renders AV-Kinetic: labelled videos whose action only ears and eyes together find.

    python -m training.data.synth --seed 1 --count 200 --output DIR

Running the same command again continues where it was stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.data.command import add_drawing, build_parser, run
from training.data.draw import Encoding, draw_encoding
from training.data.encode import write_video
from training.data.scene import Event, Scene
from training.data.sets import name_of, render_set
from training.data.synth_config import SynthConfig, load_config
from training.data.timeline import draw_scene
from training.data.universe import UNIVERSES


@dataclass(frozen=True, slots=True)
class Job:
    """One set of videos: everything that decides what is in it.

    Attributes:
        seed: Of all that is random.
        split: "untrimmed" or "clips".
        universe: Name of the universe.
        config: Ranges.
    """

    seed: int
    split: str
    universe: str
    config: SynthConfig

    def settings(self) -> dict[str, Any]:
        return asdict(self)

    def scene(self, index: int) -> Scene:
        return draw_scene(self.seed, index, universe=self.universe, split=self.split, config=self.config)

    def encoding(self, index: int) -> Encoding:
        # Its own random numbers: the same scenes can be had in other encodings.
        return draw_encoding(np.random.default_rng([self.seed, index, 0xE1]), self.config)

    def write(self, index: int, path: Path) -> None:
        """Renders video ``index``."""
        write_video(self.scene(index), self.encoding(index), path)

    def entry(self, index: int) -> dict[str, Any]:
        """The manifest's object for video ``index``; follows from the scene alone, no rendering."""
        scene = self.scene(index)
        return {
            "path": name_of(index),
            "label": scene.label,
            "duration": round(scene.duration, 6),
            "stretches": [[round(start, 6), round(end, 6)] for start, end in scene.stretches],
            "distractors": [_described(event) for event in scene.events if event.kind != "action"],
            "encoding": asdict(self.encoding(index)),
        }


def _described(event: Event) -> dict[str, Any]:
    """An event for the manifest: ``object``, ``motion`` (seen or heard) and ``bed`` where they apply."""
    entry: dict[str, Any] = {"kind": event.kind, "start": round(event.start, 6), "end": round(event.end, 6)}
    if event.actor is not None:
        entry["object"] = event.actor.look.shape
        if event.actor.moving is not None:
            entry["motion"] = event.actor.moving
    if event.voice is not None:
        entry["motion"] = event.voice.drive.motion
    if event.bed is not None:
        entry["bed"] = event.bed.kind
    return entry


def main(words: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = build_parser("training.data.synth", __doc__)
    add_drawing(parser)
    parser.add_argument("--split", choices=["untrimmed", "clips"], default="untrimmed")
    parser.add_argument("--universe", choices=sorted(UNIVERSES), default="target")
    parser.add_argument("--config", type=Path, help="TOML file with other ranges than the default")
    return run(parser, words, _write)


def _write(options: argparse.Namespace) -> Iterator[int]:
    job = Job(options.seed, options.split, options.universe, load_config(options.config))
    return render_set(job, options.count, options.output, options.workers)


if __name__ == "__main__":
    sys.exit(main())

"""Renders AV-Kinetic: labelled videos whose action only ears and eyes together find.

    python -m training.data.synth --seed 1 --count 200 --output DIR

Running the same command again continues where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from training.data.draw import Encoding, draw_encoding
from training.data.encode import write_video
from training.data.scene import Event, Scene
from training.data.synth_config import SynthConfig, load_config
from training.data.timeline import draw_scene
from training.data.universe import UNIVERSES

MANIFEST, SETTINGS = "manifest.jsonl", "synth.json"


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

    def scene(self, index: int) -> Scene:
        return draw_scene(self.seed, index, universe=self.universe, split=self.split, config=self.config)

    def encoding(self, index: int) -> Encoding:
        # Its own random numbers: the same scenes can be had in other encodings.
        return draw_encoding(np.random.default_rng([self.seed, index, 0xE1]), self.config)

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


def name_of(index: int) -> str:
    return f"videos/{index:05d}.mp4"


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


def render_one(job: Job, index: int, output: Path) -> int:
    """Renders video ``index``; runs in a worker process."""
    write_video(job.scene(index), job.encoding(index), output / name_of(index))
    return index


def render_set(job: Job, count: int, output: Path, workers: int) -> Iterator[int]:
    """Renders what is missing of ``count`` videos and yields how many there are, from the start on.

    The manifest lists finished files only, at any moment; at the end it is in order.

    Raises:
        ValueError: ``output`` holds a set made with other settings.
    """
    (output / "videos").mkdir(parents=True, exist_ok=True)
    _claim(job, output)
    done = {index for index in range(count) if (output / name_of(index)).exists()}
    _write_manifest(job, sorted(done), output)
    yield len(done)
    todo = (index for index in range(count) if index not in done)
    with (output / MANIFEST).open("a", encoding="utf-8") as manifest:
        for index in _rendered(job, todo, output, workers):
            manifest.write(json.dumps(job.entry(index)) + "\n")
            manifest.flush()
            done.add(index)
            yield len(done)
    _write_manifest(job, sorted(done), output)


def _rendered(job: Job, todo: Iterator[int], output: Path, workers: int) -> Iterator[int]:
    """Indices as their files are finished, in no order."""
    # Spawned, not forked: a fork copies whatever locks the parent's libraries hold.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(render_one, job, index, output) for index in islice(todo, 2 * workers)}
        while running:
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
                running |= {pool.submit(render_one, job, index, output) for index in islice(todo, 1)}


def _claim(job: Job, output: Path) -> None:
    """Notes the settings in the folder, so that no other set is ever mixed into it."""
    settings = json.dumps(asdict(job), indent=1) + "\n"
    path = output / SETTINGS
    if not path.exists():
        _replace(path, settings)
    elif path.read_text(encoding="utf-8") != settings:
        raise ValueError(f"{output} holds a set made with other settings; see {SETTINGS} in it")


def _write_manifest(job: Job, indices: list[int], output: Path) -> None:
    _replace(output / MANIFEST, "".join(json.dumps(job.entry(index)) + "\n" for index in indices))


def _replace(path: Path, text: str) -> None:
    """Writes a whole file or nothing."""
    unfinished = path.with_name(f".{path.name}.part")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _arguments(words: list[str] | None) -> argparse.Namespace:
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m training.data.synth", description=summary)
    parser.add_argument("--seed", type=int, required=True, help="the same seed gives the same videos")
    parser.add_argument("--count", type=int, required=True, help="how many videos the set has")
    parser.add_argument("--output", type=Path, required=True, help="folder for the videos and manifest.jsonl")
    parser.add_argument("--split", choices=["untrimmed", "clips"], default="untrimmed")
    parser.add_argument("--universe", choices=sorted(UNIVERSES), default="target")
    parser.add_argument("--config", type=Path, help="TOML file with other ranges than the default")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    arguments = _arguments(words)
    try:
        job = Job(arguments.seed, arguments.split, arguments.universe, load_config(arguments.config))
        for done in render_set(job, arguments.count, arguments.output, arguments.workers):
            print(f"\r{done}/{arguments.count} videos", end="", file=sys.stderr, flush=True)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

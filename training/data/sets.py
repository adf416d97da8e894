"""Rendering a set of generated videos: in parallel, resumable, with a manifest of what is finished."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from training.data.whole import whole

MANIFEST, SETTINGS = "manifest.jsonl", "synth.json"


class Job(Protocol):
    """One set of videos: everything that decides what is in it. Goes to other processes."""

    def settings(self) -> dict[str, Any]:
        """All of it as JSON values: a folder holds videos of one set only."""

    def entry(self, index: int) -> dict[str, Any]:
        """The manifest's object for a video; nothing is rendered for it."""

    def write(self, index: int, path: Path) -> None:
        """Renders a video; a file appears under ``path`` only when it is complete."""


def name_of(index: int) -> str:
    """A video's path in its set."""
    return f"videos/{index:05d}.mp4"


def render_one(job: Job, index: int, output: Path) -> int:
    """Renders video ``index``; runs in a worker process."""
    job.write(index, output / name_of(index))
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
    settings = json.dumps(job.settings(), indent=1) + "\n"
    path = output / SETTINGS
    if not path.exists():
        _replace(path, settings)
    elif path.read_text(encoding="utf-8") != settings:
        raise ValueError(f"{output} holds a set made with other settings; see {SETTINGS} in it")


def _write_manifest(job: Job, indices: list[int], output: Path) -> None:
    _replace(output / MANIFEST, "".join(json.dumps(job.entry(index)) + "\n" for index in indices))


def _replace(path: Path, text: str) -> None:
    """Writes a whole file or nothing."""
    with whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")

"""Draws videos of a rendered set as strips: frames, spectrogram, and what happens when.

python -m studies.strips --set DIR --videos 3 7 12 --output docs/av-kinetic-strips.jpg
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from l2l_engine.media import open_media
from training.data.sets import MANIFEST

_COLOURS = {
    "action": "#d62728",
    "silent motion": "#1f77b4",
    "sound alone": "#ff9f1c",
    "rest": "#8ab6d6",
    "empty": "#e8e8e8",
}
_TILES, _SIDE = 24, 96
_RATE = 16000


def draw_set(folder: Path, numbers: list[int], output: Path) -> None:
    """Draws the videos with these line numbers of the manifest below each other."""
    entries = [json.loads(line) for line in (folder / MANIFEST).read_text(encoding="utf-8").splitlines()]
    mpl.rcParams["font.size"] = 7
    figure = Figure(figsize=(13, 2.3 * len(numbers) + 0.35), layout="constrained")
    grid = figure.add_gridspec(3 * len(numbers), 1, height_ratios=[1.25, 1.1, 0.55] * len(numbers))
    for row, number in enumerate(numbers):
        rows = [figure.add_subplot(grid[3 * row + part]) for part in range(3)]
        _draw_video(folder, entries[number], rows)
    handles = [Patch(color=colour, label=kind) for kind, colour in _COLOURS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=110, pil_kwargs={"quality": 80} if output.suffix == ".jpg" else None)


def _draw_video(folder: Path, entry: dict[str, Any], rows: list[Axes]) -> None:
    duration = entry["duration"]
    with closing(open_media(folder / entry["path"])) as source:
        times = (np.arange(_TILES) + 0.5) * duration / _TILES
        frames = source.frames(times, short_side=_SIDE, crop=_SIDE).images
        sound = np.zeros(0, np.float32)
        if source.has_audio:
            whole = source.audio_windows(np.zeros(1), window=int(duration * _RATE), sample_rate=_RATE)
            sound = whole.samples[0]
    pictures, spectrum, timeline = rows
    pictures.imshow(np.concatenate(list(frames), axis=1), extent=(0, duration, 0, 1), aspect="auto")
    encoding = entry["encoding"]
    rate = f"{encoding['sample_rate']} Hz" if encoding["sample_rate"] else "no audio"
    size = f"{encoding['width']}x{encoding['height']}, {encoding['fps']} fps, {rate}"
    pictures.set_title(f"“{entry['label']}”, {duration:.0f} s ({size})", loc="left")
    if len(sound):
        spectrum.imshow(
            _spectrogram(sound), extent=(0, duration, 0, 8), origin="lower", aspect="auto", cmap="magma"
        )
    spectrum.set_ylabel("kHz")
    for start, end in entry["stretches"]:
        for axes in (pictures, spectrum):
            axes.axvspan(start, end, fill=False, edgecolor=_COLOURS["action"], linewidth=1.6)
        _draw_event(
            timeline, {"kind": "action", "start": start, "end": end}, entry["label"].replace(" ", "\n")
        )
    for event in entry["distractors"]:
        words = [event[name] for name in ("object", "motion", "bed") if name in event]
        _draw_event(timeline, event, "\n".join(words))
    for axes in (pictures, timeline):
        axes.set_yticks([])
    for axes in rows:
        axes.set_xlim(0, duration)
    for axes in (pictures, spectrum):
        axes.set_xticks([])


def _draw_event(axes: Axes, event: dict[str, Any], words: str) -> None:
    start, end = event["start"], event["end"]
    axes.axvspan(start, end, color=_COLOURS[event["kind"]], linewidth=0)
    axes.text((start + end) / 2, 0.5, words, ha="center", va="center", fontsize=5, clip_on=True)


def _spectrogram(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """Decibels [frequency, time]."""
    size, hop = 512, max(256, len(sound) // 2400)
    starts = np.arange(0, len(sound) - size, hop)
    pieces = sound[starts[:, None] + np.arange(size)] * np.hanning(size)
    power = np.abs(np.fft.rfft(pieces)) ** 2
    decibels: NDArray[np.float64] = 10.0 * np.log10(power.T + 1e-5)
    return decibels


def main(words: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m studies.strips")
    parser.add_argument("--set", type=Path, required=True, help="folder of a rendered set")
    parser.add_argument("--videos", type=int, nargs="+", required=True, help="line numbers in its manifest")
    parser.add_argument("--output", type=Path, required=True, help=".png or .jpg file to write")
    arguments = parser.parse_args(words)
    draw_set(arguments.set, arguments.videos, arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())

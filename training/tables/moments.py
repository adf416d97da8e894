"""Fig. 8: the moments that the skimmer chose, beside uniform ones."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from l2l_engine.media import open_media
from training.skimming.features import VideoFeatures
from training.skimming.sequences import collate
from training.tables.bench import Examples
from training.tables.knots import TwoDensities

SHOWN = 5
"""Moments of each kind (paper 4.3)."""
SIDE = 112
INSIDE, OUTSIDE = "#d62728", "#bbbbbb"


def draw(examples: Examples, ours: TwoDensities, numbers: Sequence[int], path: Path) -> None:
    """Draw three rows of frames a video: evenly spread moments, then those looked at and listened to.

    Args:
        examples: The set.
        ours: Whose moments they are.
        numbers: Which videos of the set.
        path: A JPEG or PNG file.
    """
    figure = Figure(figsize=(1.35 * SHOWN + 0.4, 4.6 * len(numbers)), layout="constrained")
    for part, number in zip(figure.subfigures(len(numbers), squeeze=False).flat, numbers, strict=True):
        item = examples.videos[number]
        said, rows = choose(examples, ours, number)
        part.suptitle(f"“{item.video.label}”, {item.video.duration:.0f} s; said “{said}”", fontsize=9)
        grid = part.subplots(len(rows), SHOWN, squeeze=False)
        for axes, (name, moments) in zip(grid, rows.items(), strict=True):
            _row(axes, item, name, moments)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90, pil_kwargs={"quality": 82} if path.suffix == ".jpg" else None)


@torch.inference_mode()
def choose(examples: Examples, ours: TwoDensities, number: int) -> tuple[str, dict[str, list[int]]]:
    """Return the answer for a video, and timestamps by row, in the order in which they were chosen."""
    item = ours.items(examples.tracks[number])
    output = ours.skimmer.eval()(collate([item]), ours.steps)
    n = len(item.track)
    uniform = ((np.arange(SHOWN) + 0.5) * n / SHOWN).astype(int).tolist()
    rows = {"uniform": uniform, "looked at": distinct_peaks(output.image_attention[0, :-1, :n])}
    if len(item.audio_knots):
        rows["listened to"] = distinct_peaks(output.audio_attention[0, :-1, :n])
    return examples.classes[int(output.logits[0].argmax())], rows


def distinct_peaks(attention: Tensor) -> list[int]:
    """Return the first five different timestamps at which attention [T-1, N] was greatest."""
    return list(dict.fromkeys(attention.argmax(dim=1).tolist()))[:SHOWN]


def _row(axes: Sequence[Axes], item: VideoFeatures, name: str, moments: Sequence[int]) -> None:
    inside = item.inside()
    pictures = frames_at(item, moments)
    for place, panel in enumerate(axes):
        panel.set(xticks=[], yticks=[])
        if place == 0:
            panel.set_ylabel(name, fontsize=8)
        if place >= len(moments):
            panel.axis("off")
            continue
        moment = moments[place]
        panel.imshow(pictures[place])
        panel.set_title(f"{moment * item.hop:.1f} s", fontsize=7, pad=2)
        for spine in panel.spines.values():
            spine.set(color=INSIDE if inside[moment] else OUTSIDE, linewidth=2.5)


def frames_at(item: VideoFeatures, moments: Sequence[int]) -> list[NDArray[np.uint8]]:
    """Return the frames shown at some timestamps, in the order asked for."""
    order = sorted(set(moments))
    times = item.video.start + item.hop * np.array(order, np.float64)
    with closing(open_media(item.video.path)) as source:
        images = source.frames(times, short_side=SIDE, crop=SIDE).images
    return [images[order.index(moment)] for moment in moments]

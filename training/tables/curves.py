"""Fig. 6: what sparse features and stopping early cost, beside UNIFORM and DENSE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from training.tables.analysis import by_knots_inside
from training.tables.bench import Bench, describe
from training.tables.knots import TwoDensities
from training.tables.macs import Cost, skim_macs

FACTORS = tuple(range(1, 21))
LINES = ("UNIFORM", "DENSE")

Row = Mapping[str, Any]


def by_factor(bench: Bench, ours: TwoDensities, factors: Sequence[int] = FACTORS) -> list[dict[str, Any]]:
    """Fig. 6a: a row a subsampling factor, alike for frames and sound, after all steps."""
    rows = []
    for factor in factors:
        at = replace(ours, image_factor=factor, audio_factor=factor)
        rows.append({"factor": factor, **by_step(bench, at)[-1]})
    return rows


def by_step(bench: Bench, ours: TwoDensities) -> list[dict[str, Any]]:
    """Fig. 6b: a row a number of steps after which the skimmer stops."""
    tracks, scores = bench.examples.tracks, step_scores(bench, ours)
    images, windows = np.mean([ours.pairs(track) for track in tracks], axis=0)
    timestamps, features = float(np.mean([len(track) for track in tracks])), tracks[0].image.shape[1]
    rows = []
    for steps in range(1, ours.steps + 1):
        head = Cost(skim_macs(ours.skimmer, features, steps).of(timestamps, images, windows) / 1e9)
        gmac = (bench.encoders.of(images, windows) + head).gmac
        rows.append({"steps": steps, **bench.examples.quality(scores[:, steps - 1]), "gmac": gmac})
    return rows


def by_knots(bench: Bench, sparse: TwoDensities, dense: TwoDensities, early: int) -> list[dict[str, float]]:
    """Why sparse features cost accuracy: top-1 after ``early`` and all steps, by the knots in the action.

    The same videos' numbers with all timestamps stand beside them: what they lack, knots do not explain.
    """
    tracks, rows = bench.examples.tracks, []
    for ours in (sparse, dense):
        scores = step_scores(bench, ours)
        right = np.stack([bench.examples.right(scores[:, step]) for step in range(ours.steps)], axis=1)
        rows.append(by_knots_inside(tracks, right, sparse.audio_factor, early))
    return [
        {**few, "dense_early": all_["early"], "dense": all_["top1"]} for few, all_ in zip(*rows, strict=True)
    ]


def step_scores(bench: Bench, ours: TwoDensities) -> NDArray[np.float32]:
    """Scores [V, T, C] after each step."""
    tracks = bench.examples.tracks
    kept = bench.keep(["steps", describe(ours)], lambda: {"scores": ours.step_scores(tracks)})
    scores: NDArray[np.float32] = kept["scores"].numpy()
    return scores


def draw(
    factors: Sequence[Row], steps: Mapping[str, Sequence[Row]], lines: Sequence[Row], path: Path
) -> None:
    """Both curves as one picture.

    Args:
        factors: Rows of ``by_factor``.
        steps: Rows of ``by_step``, by the name of the curve.
        lines: Rows of the methods that are drawn as lines, as far as they were run.
        path: A PNG file.
    """
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _curve(left, [row["factor"] for row in factors], factors, "ours", 0)
    left.set(xlabel="every k-th timestamp", ylabel="top-1, %", title="sparse features")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    for number, (name, rows) in enumerate(steps.items()):
        _curve(right, [row["steps"] for row in rows], rows, name, number)
    right.set(xlabel="steps", title="stopping early")
    for axes in (left, right):
        for number, row in enumerate(lines):
            style = (":", "--")[number % 2]
            axes.axhline(100 * row["top1"], color="0.3", linestyle=style, label=row["method"])
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _curve(axes: Axes, across: Sequence[int], rows: Sequence[Row], name: str, number: int) -> None:
    axes.plot(across, [100 * row["top1"] for row in rows], "o-", markersize=3, color=f"C{number}", label=name)
    low, high = ([100 * row[end] for row in rows] for end in ("low", "high"))
    axes.fill_between(across, low, high, color=f"C{number}", alpha=0.15, linewidth=0)

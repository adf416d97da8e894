"""What the paper has no table for: fewer frames than sound, gains by class, calibration, seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.learning.measures import calibration_error, paired_difference
from training.learning.temperature import fit_temperature
from training.skimming.sequences import Track, targets
from training.tables.bench import Bench, Examples, Result
from training.tables.knots import TwoDensities, skim_items

DENSITIES = ((5, 5), (5, 2), (5, 1), (10, 5), (10, 2), (10, 1), (15, 5), (20, 5))
"""Every how manieth timestamp has a frame, and every how manieth has its sound."""


def fewer_frames(bench: Bench, ours: TwoDensities) -> list[dict[str, Any]]:
    """A row a pair of densities: frames are dear, sound is cheap."""
    rows = []
    for image, audio in DENSITIES:
        name = f"frames at 1 of {image}, sound at 1 of {audio}"
        rows.append(bench.run(replace(ours, name=name, image_factor=image, audio_factor=audio)).row())
    return rows


def by_class(examples: Examples, ours: Result, uniform: Result) -> list[dict[str, Any]]:
    """A row a class, the greatest gain over UNIFORM first."""
    rows = []
    for number, name in enumerate(examples.classes):
        of_class = examples.truth[:, number]
        if of_class.any():
            shares = {
                "ours": float(ours.right[of_class].mean()),
                "uniform": float(uniform.right[of_class].mean()),
            }
            gain = 100 * (shares["ours"] - shares["uniform"])
            rows.append({"class": name, "videos": int(of_class.sum()), **shares, "gain": gain})
    return sorted(rows, key=lambda row: -row["gain"])


def by_knots_inside(
    tracks: Sequence[Track], right: NDArray[np.bool_], factor: int, early: int
) -> list[dict[str, float]]:
    """Top-1 of the videos with sound after ``early`` and all steps, by the knots that lie in the action."""
    inside = np.array([int(track.inside[::factor].sum()) for track in tracks])
    sound = np.array([bool(track.audio_valid.any()) for track in tracks])
    rows = []
    for least, most in ((0, 1), (2, 2), (3, math.inf)):
        chosen = right[sound & (inside >= least) & (inside <= most)]
        if len(chosen):
            shares = chosen.mean(axis=0)
            early_share = float(shares[min(early, len(shares)) - 1])
            rows.append(
                {"least": least, "videos": len(chosen), "early": early_share, "top1": float(shares[-1])}
            )
    return rows


def calibration(bench: Bench, ours: TwoDensities, validation: Sequence[Track]) -> list[dict[str, Any]]:
    """Calibration errors after each number of steps, before and after the fitted temperature.

    Args:
        bench: The test set.
        ours: The skimmer.
        validation: Videos on which the temperatures are fitted.
    """
    labels = targets(validation, len(bench.examples.classes))
    if not ours.several:
        labels = labels.int().argmax(dim=1)
    fitted_on = skim_items(ours.skimmer, [ours.items(track) for track in validation], ours.steps)
    examples = bench.examples
    tested = skim_items(ours.skimmer, [ours.items(track) for track in examples.tracks], ours.steps)
    rows = []
    for step in range(ours.steps):
        temperature = fit_temperature(fitted_on[:, step], labels)
        raw, scaled = (
            (logits.sigmoid() if ours.several else logits.softmax(dim=1)).double().numpy()
            for logits in (tested[:, step], tested[:, step] / temperature)
        )
        rows.append(
            {
                "steps": step + 1,
                "temperature": temperature,
                "raw": calibration_error(raw.max(axis=1), examples.right(raw)),
                "calibrated": calibration_error(scaled.max(axis=1), examples.right(scaled)),
            }
        )
    return rows


def spread(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Mean, least, greatest and standard deviation of top-1 over runs that differ in their seed."""
    found = np.array([row["top1"] for row in rows])
    deviation = float(found.std(ddof=1)) if len(found) > 1 else 0.0
    return {
        "runs": len(found),
        "mean": float(found.mean()),
        "least": float(found.min()),
        "most": float(found.max()),
        "deviation": deviation,
    }


def differences(results: Mapping[str, Result], ours: str) -> dict[str, dict[str, float]]:
    """By how many points ``ours`` is ahead of each other method on the same videos."""
    if ours not in results:
        return {}
    right = results[ours].right.tolist()
    return {
        name: paired_difference(right, other.right.tolist())
        for name, other in results.items()
        if name != ours
    }

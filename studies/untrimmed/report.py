"""From the scores that are kept to the page: accuracy by row and fold, intervals, differences, the curve."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.untrimmed import methods
from studies.untrimmed.embeddings import Heard
from studies.untrimmed.sounds import TARGETS
from training.pages import render

NAMES = {
    "probe": "linear probe on the file's mean embedding",
    "blind-averaged": "clip classifier of the five classes alone, averaged",
    "blind-moments": "... its surest ten moments",
    "blind-seconds": "... its surest ten seconds",
    "clip-averaged": "clip classifier with a background class, averaged",
    "clip-moments": "... its surest ten moments",
    "clip-seconds": "... its surest ten seconds",
    "gate": "one learnt gate",
    "single-query": "NON-RECURRENT",
    "paper": "`paper`",
    "ours": "**`evidence`** (ours)",
}
_DRAWS = 2000

_Floats = NDArray[np.float64]


class Right:
    """Which files a row answers rightly: a share of the seeds for every file, by fold.

    Args:
        work: Where the scores are kept.
        held_out: The files, by fold.
    """

    def __init__(self, work: Path, held_out: Mapping[int, Sequence[Heard]]) -> None:
        self._scores = work / "scores"
        self.labels = {
            fold: np.array([file.track.label for file in files]) for fold, files in held_out.items()
        }
        self.targets = {fold: np.array([file.target for file in files]) for fold, files in held_out.items()}

    def seeds(self, row: str, fold: int, clips: str = "all") -> _Floats:
        """Return 0 or 1, [seeds, files]; empty if nothing is finished."""
        learnt = row.split("-", maxsplit=1)[0] if row.split("-", maxsplit=1)[0] in {"blind", "clip"} else row
        found = []
        for path in sorted(self._scores.glob(f"{learnt}-{fold}-?-{clips}.npz")):
            with np.load(path) as file:
                found.append(file[row].argmax(axis=1) == self.labels[fold])
        return np.array(found, np.float64)

    def has(self, case: str) -> bool:
        """Whether a training is finished."""
        return (self._scores / f"{case}.npz").exists()

    def row(self, row: str, clips: str = "all") -> dict[int, _Floats]:
        """Return the mean over the seeds, by fold; without the folds that are not finished."""
        found = {fold: self.seeds(row, fold, clips) for fold in self.labels}
        return {fold: right.mean(axis=0) for fold, right in found.items() if len(right)}

    def interval(self, values: Mapping[int, _Floats]) -> tuple[float, float, float]:
        """Return the mean over folds, and its 95 % interval if other recordings had been there.

        Files with the same target sound stand or fall together, so sounds are drawn anew, not files.
        """
        rng, draws = np.random.default_rng(0), []
        groups = [
            [value[self.targets[fold] == target].mean() for target in np.unique(self.targets[fold])]
            for fold, value in values.items()
        ]
        for _ in range(_DRAWS):
            draws.append(np.mean([rng.choice(group, len(group)).mean() for group in groups]))
        low, high = np.quantile(draws, (0.025, 0.975))
        return float(np.mean([np.mean(group) for group in groups])), float(low), float(high)


def summarise(right: Right, checked: Mapping[str, Any], planned: Sequence[str]) -> dict[str, Any]:
    """Return all numbers of the page; ``planned`` names everything that is trained."""
    ours = right.row("ours")
    rows = []
    for name, title in NAMES.items():
        found = right.row(name)
        if not found:
            continue
        mean, low, high = right.interval(found)
        entry: dict[str, Any] = {
            "name": name,
            "title": title,
            "top1": mean,
            "interval": [low, high],
            "folds": {str(fold): float(value.mean()) for fold, value in found.items()},
            "seeds": {str(f): right.seeds(name, f).mean(axis=1).tolist() for f in found},
        }
        if name != "ours" and found.keys() == ours.keys():
            paired = {fold: ours[fold] - value for fold, value in found.items()}
            entry["ours_minus_this"] = list(right.interval(paired))
        rows.append(entry)
    return {
        "classes": list(TARGETS),
        "sizes": {
            "directions": methods.DIRECTIONS,
            "key_values": methods.KEYS,
            "hidden": methods.HIDDEN,
            "updates": methods.UPDATES,
            "batch": methods.BATCH,
        },
        "files": {str(fold): len(labels) for fold, labels in right.labels.items()},
        "rows": rows,
        "curve": _curve(right),
        "unfinished": [case for case in planned if not right.has(case)],
        "runtime": dict(checked),
    }


def _curve(right: Right) -> list[dict[str, Any]]:
    curve = []
    for clips in ("4", "8", "16", "all"):
        point: dict[str, Any] = {"clips": 32 if clips == "all" else int(clips)}
        for row in ("clip-seconds", "paper", "ours"):
            found = {fold: right.seeds(row, fold, clips)[:1] for fold in right.labels}
            done = {fold: value[0] for fold, value in found.items() if len(value)}
            point[row] = right.interval(done)[0] if len(done) == len(found) else None
        curve.append(point)
    return curve


def write_report(output: Path, right: Right, checked: Mapping[str, Any], planned: Sequence[str]) -> None:
    """Write the numbers, and the page made of them."""
    report = summarise(right, checked, planned)
    output.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    output.with_suffix(".md").write_text(page(report), encoding="utf-8")


def page(report: Mapping[str, Any]) -> str:
    """Return the page."""
    rows = report["rows"]
    others = [row for row in rows if row["name"] != "ours"]
    (ours,) = [row for row in rows if row["name"] == "ours"]
    best = max(others, key=lambda row: row["top1"])
    behind = [
        {"title": row["title"], "fold": fold, "points": value - ours["folds"][fold]}
        for row in others
        for fold, value in row["folds"].items()
        if value > ours["folds"].get(fold, 1.0)
    ]
    return render("studies/untrimmed/page.md.j2", **{**report, "ours": ours, "best": best, "behind": behind})

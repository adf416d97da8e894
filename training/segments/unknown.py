"""``python -m training unknown``: does a plan know what it never learnt? Files of other classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine import Classifier
from l2l_engine.errors import MediaError
from training.errors import InputError
from training.learning.measures import accuracy
from training.learning.scores import auroc
from training.pages import render
from training.runs.files import write_json
from training.videos.manifest import Video

PAGE = "training/segments/unknown.md.j2"
RESAMPLES = 2000


def measure_unknown(
    plan: Path, videos: Sequence[Video], report: Path, *, data: str, command: str
) -> dict[str, Any]:
    """Ask a plan about files of its classes and of others, and write JSON and page.

    Args:
        plan: It.
        videos: Files, of whose classes the plan knows some.
        report: Where the pages go, without suffix.
        data: What the page calls the videos.
        command: What repeats it.

    Raises:
        InputError: If all or none of the classes are the plan's, or a file cannot be read.
    """
    with Classifier(plan) as classifier:
        document = classifier.plan.document
        classes = {document.classes[number] for number in document.foreground.tolist()}
        known = np.array([bool(set(video.labels) & classes) for video in videos], np.bool_)
        if known.all() or not known.any():
            raise InputError(f"{plan}: knows {'all' if known.all() else 'none'} of the files' classes")
        try:
            predictions = [classifier.predict(video.path) for video in videos]
        except MediaError as error:
            raise InputError(str(error)) from error
        found: dict[str, Any] = {
            "data": data,
            "command": command,
            "plan": {"sha256": classifier.plan.sha256, "precision": classifier.precision},
            "left_out": sorted({name for video in videos for name in video.labels} - classes),
            "known": int(known.sum()),
            "unknown": int((~known).sum()),
        }
    right = [p.label in v.labels for p, v, own in zip(predictions, videos, known, strict=True) if own]
    scores = {"confidence": np.array([p.confidence for p in predictions])}
    if document.background:
        scores["confidence, less background"] = np.array([p.confidence - p.background for p in predictions])
    found["top1"] = accuracy(right)
    found["rows"] = {name: row(of_all, known) for name, of_all in scores.items()}
    write_json(report.with_suffix(".json"), found)
    page = render(PAGE, **found)
    report.with_suffix(".md").write_text(page, encoding="utf-8")
    print(page, flush=True)
    return found


def row(scores: NDArray[np.float64], known: NDArray[np.bool_], seed: int = 0) -> dict[str, float]:
    """Return the AUROC of known [V] against the others by scores [V], with its bootstrap interval."""
    rng, own, others = np.random.default_rng(seed), scores[known], scores[~known]
    draws = [auroc(rng.choice(own, len(own)), rng.choice(others, len(others))) for _ in range(RESAMPLES)]
    low, high = np.percentile(draws, [2.5, 97.5])
    return {
        "auroc": auroc(own, others),
        "low": float(low),
        "high": float(high),
        "known": float(np.median(own)),
        "unknown": float(np.median(others)),
    }

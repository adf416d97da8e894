"""``python -m training when``: what a plan finds in test files, through ``predict``, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from l2l_engine import Classifier, Prediction
from l2l_engine.errors import MediaError
from training.errors import InputError
from training.learning.detection import (
    Stretch,
    edge_errors,
    f1,
    interval,
    mean_precision,
    resampled,
)
from training.pages import render
from training.runs.files import write_json
from training.segments.banks import Banks, banks_of
from training.segments.beside import ClipScores, Levels, by_attention, by_classifier, by_whole
from training.segments.material import Said, attention_of
from training.segments.truth import stretches_of
from training.videos.manifest import Video

OVERLAPS = (0.3, 0.5, 0.7)
MAIN = 0.5
PAGE = "training/segments/page.md.j2"
OURS, KNOTS = "ours, looking again", "ours, the same knots"
CLIP, ATTENTION, WHOLE = "clip classifier, thresholded", "attention, thresholded", "the whole video"


@dataclass(frozen=True, slots=True)
class Costs:
    """What ways of predicting cost, by video."""

    frames: dict[str, list[int]]
    seconds: dict[str, list[float]]


def measure_when(
    plan: Path, videos: Sequence[Video], report: Path, *, data: str, command: str
) -> dict[str, Any]:
    """Find segments in every test video in every way, and write JSON and page.

    Args:
        plan: A plan with segments.
        videos: Those whose manifest does not say when are left out.
        report: Where the pages go, without suffix.
        data: What the page calls the videos.
        command: What repeats it.

    Raises:
        InputError: If the plan has no segments, no manifest entry says when, or a file cannot be read.
    """
    truth = stretches_of(videos)
    if not truth:
        raise InputError("of the test videos, no entry says when anything happens")
    told = {stretch.video for stretch in truth}
    videos = [video for video in videos if video.name in told]
    with Classifier(plan) as classifier:
        if classifier.plan.document.segments is None:
            raise InputError(f"{plan}: has no segments; `python -m training segments` gives it some")
        classifier.warmup()
        found, costs, silent = find_all(classifier, videos)
        measured = {
            "data": data,
            "command": command,
            "plan": {"sha256": classifier.plan.sha256, "precision": classifier.precision},
            "videos": len(videos),
            "silent": silent,
            "stretches": len(truth),
            "overlaps": list(OVERLAPS),
            **numbers(found, truth, [video.name for video in videos]),
            "costs": cost_rows(costs),
        }
    write_json(report.with_suffix(".json"), measured)
    page = render(PAGE, **measured)
    report.with_suffix(".md").write_text(page, encoding="utf-8")
    print(page, flush=True)
    return measured


def find_all(classifier: Classifier, videos: Sequence[Video]) -> tuple[dict[str, list[Stretch]], Costs, int]:
    """Return what each way finds in the videos, what they cost, and how many have no sound."""
    plan = classifier.plan
    scores, levels = ClipScores(plan), _levels(plan.document.provenance)
    found: dict[str, list[Stretch]] = {name: [] for name in (OURS, KNOTS, CLIP, ATTENTION, WHOLE)}
    costs = Costs({OURS: [], KNOTS: []}, {OURS: [], KNOTS: []})
    silent = 0
    for number, video in enumerate(videos, start=1):
        try:
            # By turns first: whoever opens a file first may wait for the disk.
            order = (OURS, KNOTS) if number % 2 else (KNOTS, OURS)
            predicted = {name: classifier.predict(video.path, refine=name == OURS) for name in order}
            banks = banks_of(classifier.features(video.path))
        except MediaError as error:
            raise InputError(f"{video.path}: {error}") from error
        for name, prediction in predicted.items():
            found[name] += _stretches(video, prediction)
            _note(costs, name, prediction)
        said = _said(video, predicted[KNOTS], banks, scores)
        found[CLIP] += by_classifier(said, plan.document, levels.classifier)
        found[ATTENTION] += by_attention(said, plan.document, levels.attention)
        found[WHOLE] += by_whole(said, plan.document)
        silent += banks.audio is None
        if number % 50 == 0:
            print(f"when: {number} of {len(videos)} videos", flush=True)
    return found, costs, silent


def _levels(provenance: Mapping[str, Any]) -> Levels:
    """Return the levels that were chosen on validation when the plan was given its segments."""
    try:
        return Levels(**provenance["segments"]["compared"])
    except (KeyError, TypeError):
        return Levels()


def _stretches(video: Video, prediction: Prediction) -> list[Stretch]:
    return [Stretch(video.name, s.label, s.start_s, s.end_s, s.score) for s in prediction.segments or ()]


def _note(costs: Costs, name: str, prediction: Prediction) -> None:
    assert prediction.media is not None  # it is one of a file
    costs.frames[name].append(prediction.media.frames_decoded)
    costs.seconds[name].append(prediction.timings.total)


def _said(video: Video, prediction: Prediction, banks: Banks, scores: ClipScores) -> Said:
    assert prediction.media is not None  # it is one of a file
    return Said(
        video,
        prediction.timestamps,
        scores(banks),
        attention_of(prediction),
        prediction.probabilities,
        prediction.media.duration,
    )


def numbers(
    found: Mapping[str, Sequence[Stretch]], truth: Sequence[Stretch], videos: Sequence[str]
) -> dict[str, Any]:
    """Return a row for each way, and by how much ours, looking again, is ahead of the others."""
    draws = {least: resampled(found, truth, videos, least) for least in OVERLAPS}
    rows: dict[str, dict[str, Any]] = {}
    for name, stretches in found.items():
        errors = np.abs(edge_errors(stretches, truth, OVERLAPS[0]))
        low, high = interval(draws[MAIN][name])
        rows[name] = {
            "map": {f"{least:g}": mean_precision(stretches, truth, videos, least) for least in OVERLAPS},
            "low": low,
            "high": high,
            "f1": f1(stretches, truth, MAIN),
            "found": len(stretches),
            "overlapping": len(errors),
            "median_edge_s": float(np.median(errors)) if len(errors) else None,
        }
    differences: dict[str, dict[str, Any]] = {}
    for other in found:
        for least in OVERLAPS if other != OURS else ():
            low, high = interval(draws[least][OURS] - draws[least][other])
            points = rows[OURS]["map"][f"{least:g}"] - rows[other]["map"][f"{least:g}"]
            ahead = {"points": 100 * points, "low": 100 * low, "high": 100 * high}
            differences.setdefault(other, {})[f"{least:g}"] = ahead
    return {"rows": rows, "differences": differences}


def cost_rows(costs: Costs) -> dict[str, Any]:
    """Return means of frames and medians of seconds, and how they grow when it looks again."""
    rows = {
        name: {
            "frames": float(np.mean(costs.frames[name])),
            "median_s": float(np.median(costs.seconds[name])),
            "total_s": float(np.sum(costs.seconds[name])),
        }
        for name in costs.frames
    }
    shares = np.array(costs.frames[OURS]) / np.maximum(1, costs.frames[KNOTS])
    return {
        "rows": rows,
        "frames_share": rows[OURS]["frames"] / max(1.0, rows[KNOTS]["frames"]),
        "worst_share": float(shares.max()),
        "seconds_share": rows[OURS]["total_s"] / rows[KNOTS]["total_s"],
    }

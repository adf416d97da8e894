"""Every way to sample, on the same videos, through ``Classifier.predict``."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from l2l_engine import Classifier, Prediction
from l2l_engine.loading import Precision
from training.config import Config
from training.learning.measures import accuracy
from training.pages import render
from training.runs.files import fingerprint, whole_lines, write_json
from training.sampling.curve import draw_budgets
from training.videos.manifest import Video
from training.videos.sets import load_sets

REFERENCE = "exact"
PAGE = "training/sampling/page.md.j2"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to look at a video: arguments of ``predict``, and the encoders' precision."""

    name: str
    options: Mapping[str, Any]
    precision: Precision = "auto"
    budget_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What one way said about one video, and what it cost; seconds."""

    video: str
    way: str
    truth: str
    said: str
    confidence: float
    image_knots: int
    frames_decoded: int
    seconds: dict[str, float] = field(default_factory=dict)


def ways(config: Config) -> list[Way]:
    """Everything that is compared; the first is what the others are held to."""
    policies = [Way(name, {"sampling": name}) for name in (REFERENCE, "keyframes", "listen", "auto")]
    exact = {"sampling": REFERENCE}
    others = [
        Way(f"exact, {config.sampling.steps} steps", exact | {"steps": config.sampling.steps}),
        Way("exact, fp32", exact, precision="fp32"),
        Way("exact, int8", exact, precision="int8"),
    ]
    budgets = [Way(f"{ms:g} ms", {"budget_ms": ms}, budget_ms=ms) for ms in config.sampling.budgets_ms]
    return [*policies, *others, *budgets]


def evaluate_sampling(config: Config, chosen: Sequence[Way], anew: bool = False) -> dict[str, Any]:
    """Look at every test video in every way and write the report.

    Args:
        config: The run whose plan is evaluated.
        chosen: Ways, the first of which the others are held to.
        anew: Forget what an earlier run measured.

    Returns:
        The report's numbers.
    """
    sets = {}
    with contextlib.ExitStack() as stack:
        classifiers = {
            precision: stack.enter_context(Classifier(config.plan, precision=precision))
            for precision in dict.fromkeys(way.precision for way in chosen)
        }
        for classifier in classifiers.values():
            classifier.warmup()
        plan = next(iter(classifiers.values())).plan
        folder = config.folder("sampling", fingerprint(plan.sha256))
        for name in config.sampling.sets:
            videos = [video for _, video in load_sets(config, [name])]
            path = folder / f"{name}.jsonl"
            if anew:
                path.unlink(missing_ok=True)
            print(f"{name}: {len(videos)} videos, {len(chosen)} ways", flush=True)
            sets[name] = table(list(look_at_all(classifiers, videos, chosen, path)), chosen)
        precisions = {way.name: classifiers[way.precision].precision for way in chosen}
    report = {"plan": plan.sha256, "precisions": precisions, "sets": sets}
    write_report(config, report)
    return report


def look_at_all(
    classifiers: Mapping[Precision, Classifier], videos: Sequence[Video], chosen: Sequence[Way], path: Path
) -> Iterator[Look]:
    """Every way on every video; what an earlier, interrupted run left in ``path`` is kept.

    The ways take turns video by video, so that a busy moment of the machine meets all of them, and each
    begins as often as any other: the first to open a file may have to wait for the disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    done = {(look.video, look.way): look for look in (Look(**json.loads(line)) for line in whole_lines(path))}
    with path.open("a", encoding="utf-8") as file:
        for number, video in enumerate(videos):
            first = number % len(chosen)
            for way in [*chosen[first:], *chosen[:first]]:
                look = done.get((video.name, way.name))
                if look is None:
                    prediction = classifiers[way.precision].predict(video.path, **way.options)
                    look = judge(video, way, prediction)
                    file.write(json.dumps(dataclasses.asdict(look)) + "\n")
                    file.flush()
                yield look


def judge(video: Video, way: Way, prediction: Prediction) -> Look:
    """What is kept of a prediction."""
    if prediction.media is None:
        raise ValueError("the prediction is not one of a file")
    return Look(
        video=video.name,
        way=way.name,
        truth=video.label,
        said=prediction.label,
        confidence=prediction.confidence,
        image_knots=prediction.media.image_knots,
        frames_decoded=prediction.media.frames_decoded,
        seconds=dataclasses.asdict(prediction.timings),
    )


def table(looks: Sequence[Look], chosen: Sequence[Way]) -> dict[str, dict[str, float]]:
    """One row a way: accuracy, and means over the videos of what it cost."""
    by_way = {way.name: {look.video: look for look in looks if look.way == way.name} for way in chosen}
    reference = by_way[chosen[0].name]
    return {way.name: _row(by_way[way.name], reference, way) for way in chosen}


def _row(looks: Mapping[str, Look], reference: Mapping[str, Look], way: Way) -> dict[str, float]:
    right = {name: look.said == look.truth for name, look in looks.items()}
    totals = np.array([look.seconds["total"] for look in looks.values()])
    row = accuracy(list(right.values())) | {
        "points": 100 * float(np.mean([right[name] - (r.said == r.truth) for name, r in reference.items()])),
        "agreement": float(np.mean([looks[name].said == r.said for name, r in reference.items()])),
        "image_knots": float(np.mean([look.image_knots for look in looks.values()])),
        "frames_decoded": float(np.mean([look.frames_decoded for look in looks.values()])),
        "frames_s": float(np.mean([look.seconds["frames"] for look in looks.values()])),
        "total_s": float(totals.mean()),
        "median_s": float(np.median(totals)),
    }
    if way.budget_ms is not None:
        allowed = way.budget_ms + max(0.2 * way.budget_ms, 20)
        row |= {"budget_ms": way.budget_ms, "late": float((1000 * totals > allowed).mean())}
    return row


def write_report(config: Config, report: dict[str, Any]) -> None:
    """JSON, Markdown and, where deadlines were set, the curve."""
    target = Path(config.sampling.report)
    write_json(target.with_suffix(".json"), report)
    page = render(PAGE, **report)
    target.with_suffix(".md").write_text(page, encoding="utf-8")
    print(page, flush=True)
    draw_budgets(report["sets"], REFERENCE, Path(config.sampling.plot))

"""The end-to-end test: real files through ``Classifier.predict``, beside averages of the same student."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from l2l_engine import Classifier, Prediction
from training.baselines.averages import COUNT, ClipAverage, dense, uniform
from training.clips.students import load_student
from training.config import Config
from training.learning.measures import accuracy, calibration_error
from training.models import Student
from training.pages import render
from training.runs.files import fingerprint, whole_lines, write_json
from training.skimming.build import load_skimmer
from training.skimming.features import extract_features
from training.skimming.measure import attention_ratio, skim_tracks
from training.tables.analysis import by_knots_inside
from training.tables.bench import Examples
from training.tables.write import write_tables
from training.videos.manifest import Video
from training.videos.sets import load_sets

FACTORS = (1, 2, 3, 5, 10)
PAGE = "training/evaluation/page.md.j2"


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What the plan said about one video, and the truth."""

    video: str
    truth: str
    said: str
    confidence: float
    has_audio: bool
    look_ratio: float
    listen_ratio: float
    look_hits: float
    listen_hits: float
    seconds: float


def evaluate(config: Config, commands: Sequence[str] = ()) -> dict[str, Any]:
    """Evaluate the plan on the test set and write the report, and the paper's tables where they are wanted.

    Args:
        config: The run whose plan and student are evaluated.
        commands: How to repeat it; printed in the reports.

    Returns:
        The numbers of the end-to-end report; none if there is no plan yet and tables are wanted.
    """
    if config.evaluate.tables is None:
        return end_to_end(config, commands)
    report = {}
    if Path(config.plan).exists():
        report = end_to_end(config, commands)
    else:
        print(f"{config.plan}: no such plan yet; the end-to-end report is left out", flush=True)
    write_tables(config, commands)
    return report


def end_to_end(config: Config, commands: Sequence[str] = ()) -> dict[str, Any]:
    """Send files through ``Classifier.predict``, and write the numbers as JSON and as a page."""
    torch.set_num_threads(config.threads)
    name = config.evaluate.set
    videos = [video for _, video in load_sets(config, [name])]
    with Classifier(config.plan) as classifier:
        plan, precision = classifier.plan, classifier.precision
        folder = config.folder("evaluate", fingerprint([plan.sha256, precision]))
        outcomes = predict_all(classifier, videos, folder / f"{name}.jsonl")
    student, classes = load_student(config)
    examples = Examples(extract_features(config, [name]), classes, origin=None)
    report = {
        "data": config.evaluate.data,
        "commands": list(commands),
        "plan": {"sha256": plan.sha256, "bytes": Path(config.plan).stat().st_size, "precision": precision},
        "factors": list(FACTORS),
        "early_steps": config.skim.early_steps,
        "test": {"videos": len(videos), "classes": len(classes), "origin": origin(config, name)},
        "methods": {"ours": accuracy([o.said == o.truth for o in outcomes]), **averages(student, examples)},
        "curves": curves(config, examples, plan.document.calibration),
        "with_sound": accuracy([o.said == o.truth for o in outcomes if o.has_audio]),
        "silent": accuracy([o.said == o.truth for o in outcomes if not o.has_audio]),
        "attention": attention(outcomes),
        "calibration_error": calibration_error(
            np.array([o.confidence for o in outcomes]), np.array([o.said == o.truth for o in outcomes])
        ),
        "seconds_a_video": float(np.median([o.seconds for o in outcomes])),
        "by_class": by_class(outcomes),
    }
    target = Path(config.evaluate.report)
    write_json(target.with_suffix(".json"), report)
    page = render(PAGE, **report)
    target.with_suffix(".md").write_text(page, encoding="utf-8")
    print(page, flush=True)
    return report


def origin(config: Config, name: str) -> str:
    """Return where a set comes from, in words."""
    if name in config.render:
        return f"rendered with seed {config.render[name].seed}"
    return f"of the set {name}"


def predict_all(classifier: Classifier, videos: Sequence[Video], path: Path) -> list[Outcome]:
    """Predict every video; the outcomes that an earlier, interrupted run left in ``path`` are kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done: dict[str, Outcome] = {}
    for line in whole_lines(path):
        outcome = Outcome(**json.loads(line))
        done[outcome.video] = outcome
    with path.open("a", encoding="utf-8") as file:
        for video in videos:
            if video.name not in done:
                done[video.name] = judge(video, classifier.predict(video.path))
                file.write(json.dumps(dataclasses.asdict(done[video.name])) + "\n")
                file.flush()
    return [done[video.name] for video in videos]


def judge(video: Video, prediction: Prediction) -> Outcome:
    """Compare a prediction with the manifest."""
    if prediction.media is None:
        raise ValueError("the prediction is not one of a file")
    times = prediction.timestamps
    look = np.array([m.image_attention for m in prediction.moments if m.look_at is not None])
    listen = np.array([m.audio_attention for m in prediction.moments if m.listen_to is not None])
    return Outcome(
        video=video.name,
        # Of several labels any is right.
        truth=prediction.label if prediction.label in video.labels else video.label,
        said=prediction.label,
        confidence=prediction.confidence,
        has_audio=prediction.media.audio == "present",
        look_ratio=_ratio(look, inside_stretches(video, times)),
        listen_ratio=_ratio(listen, inside_stretches(video, times)),
        look_hits=_hits(video, [m.look_at for m in prediction.moments]),
        listen_hits=_hits(video, [m.listen_to for m in prediction.moments]),
        seconds=prediction.timings.total,
    )


def inside_stretches(video: Video, times: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which times lie in a stretch of the action."""
    inside = np.zeros(len(times), np.bool_)
    for start, end in video.stretches:
        inside |= (times >= start) & (times < end)
    return inside


def _ratio(attention: NDArray[np.float32], inside: NDArray[np.bool_]) -> float:
    if len(attention) == 0:
        return math.nan
    return attention_ratio(torch.from_numpy(attention), torch.from_numpy(inside))


def _hits(video: Video, moments: Sequence[float | None]) -> float:
    """Return share of the moments chosen (the attention's peaks) that lie in the action."""
    times = np.array([moment for moment in moments if moment is not None], np.float64)
    return float(inside_stretches(video, times).mean()) if len(times) else math.nan


def averages(student: Student, examples: Examples) -> dict[str, dict[str, float]]:
    """Run DENSE and UNIFORM: the student's clip scores averaged over all or ten evenly spaced pairs."""
    found = {}
    for name, choice in (("DENSE", dense), (f"UNIFORM ({COUNT})", uniform)):
        scores = ClipAverage(name, student, choice).scores(examples.tracks).numpy()
        found[name] = accuracy(examples.right(scores).tolist())
    return found


def curves(config: Config, examples: Examples, temperatures: Sequence[float]) -> dict[str, Any]:
    """Measure top-1 on cached float32 features by steps, by the knots' distance, by how many hit the action.

    The calibration error is that of the confidence after each number of steps, at the plan's temperatures.
    """
    skimmer, tracks = load_skimmer(config, len(examples.classes)), examples.tracks

    def skim(factor: int) -> tuple[Tensor, NDArray[np.bool_]]:
        skimmed = skim_tracks(skimmer, tracks, config.skim.steps, factor)
        return skimmed.logits, (skimmed.logits.argmax(dim=2) == skimmed.labels[:, None]).numpy()

    logits, right = skim(config.factor)
    confidence = (logits / torch.tensor(temperatures)[:, None]).softmax(dim=2).amax(dim=2).double().numpy()
    return {
        "steps": [float(share) for share in right.mean(axis=0)],
        "calibration_errors": [
            calibration_error(confidence[:, step], right[:, step]) for step in range(right.shape[1])
        ],
        "factors": [float(skim(factor)[1][:, -1].mean()) for factor in FACTORS],
        "knots_inside": by_knots_inside(tracks, right, config.factor, config.skim.early_steps),
    }


def attention(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return medians over the videos; a modality that a video lacks does not count."""
    names = ("look_ratio", "listen_ratio", "look_hits", "listen_hits")
    return {name: float(np.nanmedian([getattr(o, name) for o in outcomes])) for name in names}


def by_class(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return the share of right answers by true class."""
    names = sorted({o.truth for o in outcomes})
    return {name: float(np.mean([o.said == name for o in outcomes if o.truth == name])) for name in names}

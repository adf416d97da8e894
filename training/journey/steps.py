"""From a folder of footage to a plan and a report: ``python -m training all --data FOLDER --output PLAN``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2l_engine import Classifier, Prediction
from training.checks import check
from training.config import Config
from training.errors import InputError
from training.journey.advice import advice
from training.journey.choices import USUAL, Footage, held_out, own_config, survey
from training.learning.measures import accuracy
from training.pages import render
from training.prepare import Options, prepare
from training.runs.files import write_atomically, write_json
from training.skimming.build import load_skimmer
from training.skimming.features import extract_features
from training.skimming.measure import skim_tracks
from training.skimming.sequences import to_sequences
from training.videos.manifest import Video
from training.videos.sets import load_sets

PAGE = "training/journey/page.md.j2"

Stages = Mapping[str, Callable[[Config], object]]


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asks for.

    Attributes:
        data: A folder of footage, or a manifest that ``prepare`` wrote.
        plan: The plan to write; the report goes beside it.
        work: Folder of everything in between.
        layout, annotations: Of the folder, as ``prepare`` takes them.
        config, overrides: Settings other than the defaults.
    """

    data: Path
    plan: Path
    work: Path
    layout: str = "folders"
    annotations: tuple[Path, ...] = ()
    config: Path | None = None
    overrides: tuple[str, ...] = ()


def make_plan(request: Request, stages: Stages) -> dict[str, Any]:
    """Do every step, or go on where a killed run stopped; returns the report.

    Raises:
        InputError: If the footage cannot be used, or a setting is wrong.
        OSError: If something cannot be read or written.
    """
    check(_config(request, USUAL), stages, footage=False)
    seconds: dict[str, float] = {}
    manifest, prepared = _manifest(request, seconds)
    footage = survey(manifest)
    config = _config(request, footage)
    check(config, stages)
    skipped = run_stages(stages, config, seconds)
    start = time.monotonic()
    score = _score(config, footage)
    seconds["score"] = time.monotonic() - start
    report: dict[str, Any] = {
        "plan": str(request.plan),
        "bytes": request.plan.stat().st_size,
        "footage": prepared,
        "not_learnt_from": _not_learnt_from(config),
        "chosen": _chosen(config),
        "held_out": score,
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "stages_skipped": skipped,
    }
    report["next"] = advice(report)
    write_json(request.plan.with_suffix(".report.json"), report)
    page = render(PAGE, **report)
    write_atomically(request.plan.with_suffix(".report.md"), lambda file: file.write(page.encode()))
    print(f"\n{page}", flush=True)
    return report


def _config(request: Request, footage: Footage) -> Config:
    try:
        return own_config(
            footage, config=request.config, overrides=request.overrides, work=request.work, plan=request.plan
        )
    except ValueError as error:
        raise InputError(str(error)) from error


def run_stages(stages: Stages, config: Config, seconds: dict[str, float]) -> dict[str, str]:
    """Run the stages that apply, noting their seconds; returns why the others do not."""
    skipped = {}
    for name, run in stages.items():
        reason = why_not(name, config)
        if reason:
            skipped[name] = reason
            print(f"== {name}: skipped, {reason}", flush=True)
            continue
        print(f"== {name}", flush=True)
        start = time.monotonic()
        run(config)
        seconds[name] = time.monotonic() - start
        print(f"== {name}: {seconds[name]:.0f} s", flush=True)
    return skipped


def why_not(stage: str, config: Config) -> str:
    """Return why a stage does not apply; empty if it does."""
    used = {*config.teacher.train, *config.student.train, *config.skim.train}
    if stage == "render" and not used & {*config.render, *config.reencode}:
        return "the footage is there already"
    if stage in ("teacher", "distill") and not config.teacher.train:
        return "no teacher is configured (teacher.train)"
    if stage == "recogniser" and config.recogniser.kind == "none":
        return "no recogniser is configured (recogniser.kind)"
    if stage == "clips" and (config.clips.test is None or not config.teacher.train):
        return "no comparison is configured (clips.test)"
    return ""


def _manifest(request: Request, seconds: dict[str, float]) -> tuple[Path, dict[str, Any]]:
    """Return the manifest, made where the data is a folder, and the report on it."""
    if request.data.is_file():
        return request.data, {}
    print("== prepare", flush=True)
    start = time.monotonic()
    # A part held out for the temperature alone is worth it only where there is plenty; see choices.held_out.
    report = prepare(
        Options(
            request.data,
            request.work / "footage",
            request.layout,
            request.annotations,
            validation=0.0,
            test=0.2,
            least=1,
        )
    )
    seconds["prepare"] = time.monotonic() - start
    print(
        f"== prepare: {report['kept']} of {report['listed']} videos, {seconds['prepare']:.0f} s", flush=True
    )
    return request.work / "footage" / "manifest.jsonl", report


def _score(config: Config, footage: Footage) -> dict[str, Any]:
    """Return what the plan says of videos that nothing was learnt from, beside guessing."""
    name = held_out(footage).get("test")
    if name is None:
        return {"videos": 0}
    videos = [video for _, video in load_sets(config, [name])]
    said = _answers(config, name, videos)
    right = [said[video.name] in video.labels for video in videos]
    learnt = {label: by_split.get("train", 0) for label, by_split in footage.counts.items()}
    common = max(learnt, key=lambda label: learnt[label])
    classes = sorted({video.label for video in videos})
    return {
        **accuracy(right),
        "right": sum(right),
        "chance": 1 / len(learnt),
        "majority": sum(common in video.labels for video in videos) / len(videos),
        "majority_class": common,
        "by_class": {
            label: {"videos": len(own), "right": sum(own)}
            for label in classes
            for own in [[r for r, video in zip(right, videos, strict=True) if video.label == label]]
        },
        "answers": [
            {"video": str(video.path), "label": video.label, "said": said[video.name]} for video in videos
        ],
    }


def _answers(config: Config, name: str, videos: Sequence[Video]) -> dict[str, str]:
    """Return what is said of each video: of files by ``predict``, of segments by the same networks."""
    files = [video for video in videos if video.end is None and video.start == 0]
    said = dict.fromkeys((video.name for video in videos), "")
    with Classifier(config.plan, device="cpu") as classifier:
        classes = classifier.class_names
        answers = classifier.predict_many([video.path for video in files], on_error="yield")
        for video, answer in zip(files, answers, strict=True):
            said[video.name] = answer.label if isinstance(answer, Prediction) else f"(no answer: {answer})"
    if len(files) < len(videos):
        features = [f for f in extract_features(config, [name]) if f.video not in files]
        skimmer = load_skimmer(config, len(classes))
        tracks = to_sequences(features, classes)
        logits = skim_tracks(skimmer, tracks, config.skim.steps, config.factor).logits[:, -1]
        for known, best in zip(features, logits.argmax(dim=1).tolist(), strict=True):
            said[known.video.name] = classes[best]
    return said


def _not_learnt_from(config: Config) -> dict[str, str]:
    """Return files that were readable at first sight, and turned out not to be."""
    found: dict[str, str] = {}
    for path in (
        *config.folder("pairs").glob("*/skipped.json"),
        *config.folder("features").glob("*/skipped.json"),
    ):
        found |= json.loads(path.read_text(encoding="utf-8"))
    return found


def _chosen(config: Config) -> dict[str, Any]:
    """Return the settings that a user may want to know first."""
    return {
        "student.pairs": config.student.pairs,
        "student.epochs": config.student.epochs,
        "student.streams": config.student.streams,
        "model.image": config.model.image,
        "model.image_width": config.model.image_width,
        "model.audio_width": config.model.audio_width,
        "skim.updates": config.skim.updates,
        "skim.steps": config.skim.steps,
        "factor": config.factor,
    }

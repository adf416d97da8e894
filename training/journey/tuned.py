"""The way to a plan where the encoders learn too: every stage of a training, and rows of what came out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from training.checks import check
from training.clips.students import build_student, load_student
from training.config import Config
from training.config.data import SetConfig
from training.journey.choices import Footage, held_out
from training.journey.estimate import HD, Clock
from training.journey.footage import Listing, fold_manifest
from training.journey.made import Made
from training.journey.scoring import PLAN, Answer, Judged, plan_answers
from training.journey.stages import Stages, run_stages
from training.models.inputs import media_settings
from training.skimming.build import load_skimmer
from training.skimming.features import extract_features
from training.skimming.measure import skim_tracks
from training.skimming.sequences import Track, to_sequences
from training.videos.sets import load_sets

_DECODE = 0.12
"""Seconds in which a core decodes a second of 720p; the estimate says that it is rough."""
_UPDATE, _EXPORT = 0.08, 20.0
"""Seconds of an update of the skimmer, and of writing and checking a plan."""


def make_tuned(config: Config, footage: Footage, listing: Listing, stages: Stages, clock: Clock) -> Made:
    """Train everything, write the plan, and ask it about what was held out."""
    folds = sorted(set(listing.folds.values()) - {""})
    estimate = estimate_tuned(config, footage, listing)
    clock.expect(**estimate, **({"folds": len(folds) * sum(estimate.values())} if folds else {}))
    skipped = run_stages(stages, config, clock)
    if folds:
        judged = clock.run("folds", lambda: _cross_validated(config, listing, folds, stages))
    else:
        judged = clock.run("score", lambda: _judge_held_out(config, footage))
    return Made(judged, skipped)


def _judge_held_out(config: Config, footage: Footage) -> Judged:
    """Ask about the held-out videos."""
    learnt = {label: by_split.get("train", 0) for label, by_split in footage.counts.items()}
    name = held_out(footage).get("test")
    videos = [] if name is None else [video for _, video in load_sets(config, [name])]
    judged = Judged(videos, {"": learnt}, [""] * len(videos))
    if name is not None:
        _ask(judged, config, name)
    return judged


def _cross_validated(config: Config, listing: Listing, folds: Sequence[str], stages: Stages) -> Judged:
    """Train once more without each fold, in folders of their own, and ask about it."""
    judged = Judged([], {}, [])
    for fold in folds:
        work = config.folder("folds", fold)
        manifest = fold_manifest(listing, fold, work / "manifest.jsonl")
        splits: tuple[str, str] = ("train", "test")
        sets = {split: SetConfig(str(manifest), split) for split in splits}  # type: ignore[arg-type]
        own = replace(config, work=str(work), plan=str(work / "fold.plan"), sets=sets)
        # Nothing may be chosen by what is held out.
        own = replace(
            own,
            student=replace(own.student, validation=("train",)),
            skim=replace(own.skim, validation=("train",)),
        )
        check(own, stages)
        print(f"== fold {fold}", flush=True)
        run_stages(stages, own, Clock(say=lambda line: None))
        videos = [video for _, video in load_sets(own, ["test"])]
        learnt: dict[str, int] = {}
        for _, video in load_sets(own, ["train"]):
            for label in video.labels:
                learnt[label] = learnt.get(label, 0) + 1
        judged.videos += videos
        judged.fold += [fold] * len(videos)
        judged.learnt = {**judged.learnt, fold: learnt}
        _ask(judged, own, "test", videos=len(videos))
    return judged


def _ask(judged: Judged, config: Config, name: str, videos: int | None = None) -> None:
    """Add what the classifier, the skimmer and the plan say of a set, the last of the judged videos."""
    own = judged.videos[-videos:] if videos else judged.videos
    student, classes = load_student(config)
    found = {features.video.name: features for features in extract_features(config, [name])}
    known = [video for video in own if video.name in found]
    tracks = to_sequences([found[video.name] for video in known], classes)
    dense = [_dense(config, student, track) for track in tracks]
    skimmer = load_skimmer(config, len(classes))
    logits = torch.zeros(0, len(classes))
    if tracks:
        logits = skim_tracks(skimmer, tracks, config.skim.steps, config.factor).logits[:, -1]
    skimmed = [_best(row, classes, several=config.skim.several) for row in logits]
    averaged = [_best(row.log(), classes, several=False) for row in dense]
    for way, about, said in (
        ("clip classifier, averaged", "DENSE: its probabilities, the mean over all moments", averaged),
        ("skimmer", f"preset {config.skim.preset}, {config.skim.steps} steps", skimmed),
    ):
        by_name = dict(zip([video.name for video in known], said, strict=True))
        judged.add(way, about, [by_name.get(video.name, Answer("(cannot be read)")) for video in own])
    judged.add(
        PLAN, "what was written, asked about files", plan_answers(config, Path(config.plan), name, own)
    )


@torch.inference_mode()
def _dense(config: Config, student: torch.nn.Module, track: Track) -> torch.Tensor:
    """Return the student's probabilities [C], averaged over the moments, as DENSE has them."""
    image = track.image * track.image_valid[:, None] if "image" in config.skim.modalities else track.image * 0
    audio = track.audio * track.audio_valid[:, None] if "audio" in config.skim.modalities else track.audio * 0
    logits = student.classify(image, audio)  # type: ignore[operator]
    found: torch.Tensor = (logits.sigmoid() if config.skim.several else logits.softmax(dim=1)).mean(dim=0)
    return found


def _best(logits: torch.Tensor, classes: Sequence[str], *, several: bool) -> Answer:
    probabilities = logits.sigmoid() if several else logits.softmax(dim=0)
    best = int(probabilities.argmax())
    return Answer(classes[best], float(probabilities[best]))


def estimate_tuned(config: Config, footage: Footage, listing: Listing) -> dict[str, float]:
    """Return the estimated seconds of each stage, from a step of training and the footage's size."""
    pair = _seconds_a_pair(config)
    videos = footage.count("train")
    seconds = sum(footage.durations)
    pixels = sum(entry["duration"] * entry.get("pixels", 0) for entry in listing.entries())
    decode = _DECODE * pixels / HD / max(1, config.workers)
    moments = seconds / config.skim.hop
    return {
        "finetune": decode + videos * config.student.pairs * config.student.epochs * pair,
        "features": decode + moments * pair / 3,
        "skim": config.skim.updates * _UPDATE,
        "export": _EXPORT,
        "score": 0.3 * (decode + moments * pair / 3),
    }


def _seconds_a_pair(config: Config) -> float:
    """Measure a step of training on some noise."""
    torch.set_num_threads(config.threads)
    media, count = media_settings(config.model), 8
    with torch.random.fork_rng(devices=[]):
        student = build_student(config.model, 2).train()
        images = torch.randint(0, 256, (count, media.crop, media.crop, 3), dtype=torch.uint8)
        samples = 0.1 * torch.randn(count, media.window)
        there = torch.ones(count, dtype=torch.bool)
        for _ in range(2):
            start = time.monotonic()
            torch.autograd.backward(student(images, samples, there, there).square().mean())
            student.zero_grad()
    return (time.monotonic() - start) / count

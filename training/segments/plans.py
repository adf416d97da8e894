"""``python -m training segments``: a plan is given what it takes to say when something happens."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from l2l_engine import Classifier
from l2l_engine.plan import Plan, PlanDocument, SegmentSettings, read_plan, write_plan
from training.config import Config
from training.data.sets import SETTINGS
from training.errors import InputError
from training.learning.detection import edge_errors
from training.runs.files import file_fingerprint
from training.segments.banks import Banks, extract_banks, merged
from training.segments.beside import ClipScores, Levels, fit_levels, with_logits
from training.segments.head import Head, choose_head, collect, hidden_rows
from training.segments.material import Said, asked, attention_of, found_in, names
from training.segments.settings import best_thresholds, fit_settings, judge
from training.segments.truth import stretches_of
from training.videos.manifest import Video, read_manifest
from training.videos.sets import describe_set, load_sets

SHORTEST = 5.0
"""Seconds that the middle one of the validation videos must last: in a clip there is no when."""
UNASKED = 20.0
"""The same where nobody asked for segments: what is cut to ten seconds mostly is its action."""


@dataclass(frozen=True, slots=True)
class Videos:
    """What is learnt from, and what settings are chosen on.

    Attributes:
        train, validation: The videos.
        described: What the sets are, as JSON values, for the plan's provenance.
    """

    train: Sequence[Video]
    validation: Sequence[Video]
    described: Mapping[str, Any]


def read_videos(train: Path, validation: Path) -> Videos:
    """Read two manifests, or the folders that hold them."""
    described = {"train": _described(train), "validation": _described(validation)}
    return Videos(read_manifest(train), read_manifest(validation), described)


def _described(path: Path) -> dict[str, Any]:
    """Return which manifest it is, and of a rendered set the seed that gives the same videos."""
    file = path / "manifest.jsonl" if path.is_dir() else path
    told: dict[str, Any] = {"manifest": file_fingerprint(file)}
    rendered = file.parent / SETTINGS
    if rendered.exists():
        told["seed"] = json.loads(rendered.read_text(encoding="utf-8")).get("seed")
    return told


def segments_stage(config: Config) -> Path | None:
    """Give the plan that ``export`` wrote its segments; None, and a sentence, if nothing can be learnt."""
    torch.set_num_threads(config.threads)
    if reason := why_no_segments(config):
        print(f"segments: none, {reason}", flush=True)
        return None
    sets = _sets(config)
    described = {
        name: {own: describe_set(config, own) for own in getattr(config.skim, name)} for name in sets
    }
    videos = Videos(sets["train"], sets["validation"], described)
    return add_segments(Path(config.plan), videos, Path(config.plan), config.folder(), seed=config.seed).path


def why_no_segments(config: Config) -> str:
    """Return why the plan that ``export`` wrote can be given no segments; empty if it can."""
    if not Path(config.plan).exists():
        return "no plan was written"
    sets = _sets(config)
    apart = [video for video in sets["validation"] if video not in sets["train"]]
    return why_none(read_plan(config.plan).document, apart, UNASKED)


def _sets(config: Config) -> dict[str, list[Video]]:
    named = {"train": config.skim.train, "validation": config.skim.validation}
    return {name: [video for _, video in load_sets(config, sets)] for name, sets in named.items()}


def why_none(document: PlanDocument, validation: Sequence[Video], shortest: float = SHORTEST) -> str:
    """Return why a plan can learn nothing of when from these videos; empty if it can."""
    if document.skim.preset == "tags":
        return "a plan of tags names moments by itself"
    if not validation:
        return "there are no videos to choose settings on beside those that are learnt from"
    middle = median(video.duration for video in validation)
    if middle < shortest:
        return f"the validation videos are clips (the middle one lasts {middle:.1f} s)"
    return ""


def add_segments(source: Path, videos: Videos, output: Path, work: Path, *, seed: int = 0) -> Plan:
    """Learn head and settings, and write the plan that has them; whatever else it says stays the same.

    Raises:
        InputError: If the videos tell nothing, or are of other classes.
    """
    plan = bare(read_plan(source))
    if reason := why_none(plan.document, videos.validation):
        raise InputError(f"{source}: no segments can be learnt: {reason}")
    _check_classes(plan.document, videos.train)
    dense = {
        name: extract_banks(plan, part, work, dense=True)
        for name, part in (("train", videos.train), ("validation", videos.validation))
    }
    if not all(dense.values()):
        raise InputError("none of the videos can be read")
    learn = collect(plan, videos.train, dense["train"], seed=seed)
    head, losses = choose_head(learn, collect(plan, videos.validation, dense["validation"], seed=seed + 1))
    print(f"segments: {len(learn.rows)} moments, losses by decay {losses}", flush=True)
    chosen = _choose(plan, head, videos, dense["validation"], work)
    document = replace(
        plan.document,
        segments=chosen.settings,
        thresholds=chosen.thresholds,
        provenance={**plan.document.provenance, "segments": _told(videos, chosen, losses, seed)},
    )
    skim = {**plan.skim, "moment.weight": head.weight, "moment.bias": head.bias}
    return write_plan(output, document, graphs=plan.graphs, skim=skim, compiled=plan.compiled)


def bare(plan: Plan) -> Plan:
    """Return a plan without segments: they are learnt anew, never from others."""
    skim = {name: rows for name, rows in plan.skim.items() if not name.startswith("moment.")}
    told = {name: value for name, value in plan.document.provenance.items() if name != "segments"}
    return replace(
        plan, skim=skim, document=replace(plan.document, segments=None, thresholds=(), provenance=told)
    )


def _check_classes(document: PlanDocument, videos: Sequence[Video]) -> None:
    labels = {name for video in videos for name in video.labels}
    if not labels & set(document.classes):
        raise InputError(
            f"none of the labels of the training videos is a class of the plan: {sorted(labels)[:5]}"
        )


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Settings, and what they are worth on validation."""

    settings: SegmentSettings
    thresholds: tuple[float, ...]
    levels: Levels
    figures: dict[str, Any]


def _choose(plan: Plan, head: Head, videos: Videos, dense: Mapping[str, Banks], work: Path) -> _Chosen:
    """Choose settings on validation videos as the plan samples them, then as it does after looking again."""
    document = plan.document
    banks = extract_banks(plan, videos.validation, work, dense=False)
    hidden = hidden_rows(plan)
    said: list[Said] = []
    with Classifier(plan.path) as classifier:
        for video in videos.validation:
            if video.name in banks and video.name in dense:
                own = banks[video.name]
                said.append(_said(video, own, head.logits(hidden(own)), classifier))
    first = fit_settings(said, document)
    closer = [
        with_logits(one, head.logits(hidden(looked_again(one, banks[one.video.name], dense[one.video.name],
                                                         document, first))))
        for one in said
    ]  # fmt: skip
    settings = fit_settings(closer, document, first)
    truth = stretches_of([one.video for one in said])
    figures: dict[str, Any] = {"videos": len(said), "stretches": len(truth)}
    levels = Levels()
    if truth:
        scores = ClipScores(plan)
        clip = [with_logits(one, scores(banks[one.video.name])) for one in said]
        levels = fit_levels(said, clip, document, truth)
        figures |= {
            "knots": _figures(said, document, settings, truth),
            "closer": _figures(closer, document, settings, truth),
        }
    return _Chosen(settings, _thresholds(said, document), levels, figures)


def _said(video: Video, banks: Banks, logits: Any, classifier: Classifier) -> Said:
    prediction = asked(classifier, banks)
    end = float(min(video.start + video.duration, np.inf if video.end is None else video.end))
    return Said(video, banks.timestamps, logits, attention_of(prediction), prediction.probabilities, end)


def looked_again(
    said: Said, banks: Banks, dense: Banks, document: PlanDocument, settings: SegmentSettings
) -> Banks:
    """Return the banks after a closer look: every timestamp up to a knot away from an edge."""
    gap = document.sampling.factor * document.media.hop
    near = np.zeros(len(banks.timestamps), np.bool_)
    for stretch in said.found(document, settings):
        for edge in (stretch.start, stretch.end):
            near |= np.abs(banks.timestamps - edge) <= gap
    return merged(banks, dense, near)


def _figures(
    said: Sequence[Said], document: PlanDocument, settings: SegmentSettings, truth: Any
) -> dict[str, Any]:
    found = found_in(said, document, settings)
    judged = judge(found, truth, names(said))
    errors = np.abs(edge_errors(found, truth, 0.3))
    return {
        "map": {f"{least:g}": value for least, value in judged.precisions.items()},
        "f1": judged.f1,
        "median_edge_s": float(np.median(errors)) if len(errors) else None,
    }


def _thresholds(said: Sequence[Said], document: PlanDocument) -> tuple[float, ...]:
    """Return the thresholds of the labels where a video may have several."""
    if document.output != "sigmoid":
        return ()
    labels = np.array([[name in one.video.labels for name in document.classes] for one in said])
    return best_thresholds(np.array([one.probabilities for one in said]), labels)


def _told(videos: Videos, chosen: _Chosen, losses: Mapping[float, float], seed: int) -> dict[str, Any]:
    return {
        "command": "python -m training segments",
        "sets": dict(videos.described),
        "videos": {"train": len(videos.train), "validation": len(videos.validation)},
        "seed": seed,
        "loss_by_decay": {f"{decay:g}": loss for decay, loss in losses.items()},
        "validation": chosen.figures,
        "compared": asdict(chosen.levels),
    }

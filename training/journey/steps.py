"""From a folder of footage to a plan and a report: ``python -m training all --data FOLDER --output PLAN``."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from training.checks import check
from training.config import Config
from training.errors import InputError
from training.journey.advice import advice
from training.journey.choices import USUAL, Chosen, Footage, choose_config, survey
from training.journey.estimate import Clock
from training.journey.footage import Listing, Wanted, all_manifest, list_footage
from training.journey.frozen import make_frozen
from training.journey.made import Made
from training.journey.stages import Stages
from training.journey.tuned import make_tuned
from training.pages import render
from training.runs.files import write_atomically, write_json

PAGE = "training/journey/page.md.j2"


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asks for.

    Attributes:
        data: A folder of footage, or a manifest that ``prepare`` wrote.
        plan: The plan to write; the report goes beside it.
        work: Folder of everything in between.
        layout, annotations: Of the folder, as ``prepare`` takes them.
        config, overrides: Settings other than the defaults.
        weights: Folder of published weights.
        folds: Folds of a cross-validation; 0 for a part that is held out.
        untrimmed: Whether the plan is for long files although the footage is of clips; None to see by it.
    """

    data: Path
    plan: Path
    work: Path
    layout: str = "folders"
    annotations: tuple[Path, ...] = ()
    config: Path | None = None
    overrides: tuple[str, ...] = ()
    weights: Path | None = None
    folds: int = 0
    untrimmed: bool | None = None


def make_plan(request: Request, stages: Stages) -> dict[str, Any]:
    """Do every step, or go on where a killed run stopped; returns the report.

    Raises:
        InputError: If the footage cannot be used, or a setting is wrong.
        OSError: If something cannot be read or written.
    """
    if request.weights is not None and not request.weights.is_dir():
        raise InputError(f"--weights {request.weights}: is no folder")
    check(_choose(request, USUAL).config, stages, footage=False)
    clock = Clock()
    listing = clock.run("prepare", lambda: _list(request))
    footage = _survey(request, listing)
    chosen = _choose(request, footage)
    for line in (*chosen.start.reasons, *footage.reasons, *listing.notes):
        print(f"   {line}", flush=True)
    check(chosen.config, stages)
    if chosen.start.frozen:
        made = make_frozen(chosen.config, listing, stages, clock, lambda: _survey(request, listing))
    else:
        made = make_tuned(chosen.config, footage, listing, stages, clock)
    report = _report(request, listing, chosen, made, clock)
    write_json(request.plan.with_suffix(".report.json"), report)
    page = render(PAGE, **report)
    write_atomically(request.plan.with_suffix(".report.md"), lambda file: file.write(page.encode()))
    print(f"\n{page}", flush=True)
    return report


def _list(request: Request) -> Listing:
    return list_footage(
        Wanted(request.data, request.work / "footage", request.layout, request.annotations, request.folds)
    )


def _survey(request: Request, listing: Listing) -> Footage:
    """Look at the footage; where folds tell how good the plan is, all of it is to learn from."""
    path = listing.path
    if listing.folds:
        path = all_manifest(listing, request.work / "footage" / "all.jsonl")
    return replace(survey(path, untrimmed=request.untrimmed), given=not listing.ours)


def _choose(request: Request, footage: Footage) -> Chosen:
    try:
        return choose_config(
            footage,
            config=request.config,
            overrides=request.overrides,
            work=request.work,
            plan=request.plan,
            weights=request.weights,
        )
    except ValueError as error:
        raise InputError(str(error)) from error


def _report(request: Request, listing: Listing, chosen: Chosen, made: Made, clock: Clock) -> dict[str, Any]:
    """Return the report as JSON values."""
    config = chosen.config
    folds = len(set(listing.folds.values()) - {""})
    how = "folds" if folds else "ours" if listing.ours else "given"
    report: dict[str, Any] = {
        "plan": str(request.plan),
        "bytes": request.plan.stat().st_size,
        "footage": listing.report,
        "alike": {"groups": listing.alike, "doubted": listing.doubted},
        "notes": listing.notes,
        "start": list(chosen.start.reasons),
        "head": made.reasons,
        "not_learnt_from": _not_learnt_from(config) | made.unreadable,
        "chosen": _chosen(config) | made.chosen,
        "held_out": made.judged.report(made.unsure) | {"how": how, "folds": folds},
        "seconds": {name: round(value, 1) for name, value in clock.taken.items()},
        "estimate": clock.report(),
        "stages_skipped": made.skipped,
    }
    report["next"] = advice(report)
    return report


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
    model, student, skim = config.model, config.student, config.skim
    learnt = {"student.pairs": student.pairs, "student.epochs": student.epochs, "skim.updates": skim.updates}
    return {
        "student.streams": student.streams,
        "model.image": model.image,
        "model.image_weights": model.image_weights,
        "model.image_width": model.image_width,
        "model.audio": model.audio,
        "model.audio_weights": model.audio_weights,
        "model.audio_width": model.audio_width,
        "model.tune": model.tune,
        **(learnt if model.tune == "all" else {}),
        "skim.steps": skim.steps,
        "factor": config.factor,
    }

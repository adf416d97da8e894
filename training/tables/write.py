"""Puts the paper's tables together and writes them: JSON, Markdown, plots."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.baselines import Method, Skimming
from training.clips.recogniser import load_recogniser, metrics_path
from training.clips.students import load_student, student_path
from training.clips.teach import build_teacher
from training.config import Config
from training.models import Student
from training.runs.files import file_fingerprint, write_json
from training.skimming.features import extract_features
from training.tables import curves, moments
from training.tables.analysis import by_class, calibration, differences, fewer_frames, spread
from training.tables.bench import Bench, Encoders, Examples, Result
from training.tables.clips import clip_tables
from training.tables.expectations import PAIRED, PAPER, SPARSE, expectations
from training.tables.knots import Thinned, TwoDensities
from training.tables.lineup import COMBINATIONS, PRESETS, TABLE_1, Lineup, lineup
from training.tables.longer import by_length
from training.tables.macs import (
    classifier_cost,
    clip_cost,
    image_cost,
    measure,
    skim_batch,
    skim_parts,
    window_cost,
)
from training.tables.page import markdown
from training.tables.policies import policies
from training.tables.provenance import provenance
from training.tables.recognised import Sight, recognise
from training.videos.sets import describe_set

DENSE_ROWS = ("DENSE", "SCSAMPLER", "LSTM", "NON-RECURRENT", PAIRED)


def write_tables(config: Config, commands: Sequence[str]) -> dict[str, Any]:
    """Measure everything that is there to be measured, and write the report.

    Args:
        config: The run; ``evaluate.tables`` says where the report goes.
        commands: How to repeat it; printed in the report.

    Returns:
        The report's numbers.
    """
    if config.evaluate.tables is None:
        raise ValueError("evaluate.tables is not set")
    torch.set_num_threads(config.threads)
    target = Path(config.evaluate.tables)
    student, classes = load_student(config)
    examples = load_examples(config, config.evaluate.set, classes)
    encoders = Encoders(image_cost(student.image), window_cost(student.audio))
    bench = Bench(examples, encoders, config.folder("tables"))
    methods = lineup(config, student, len(classes))
    results = run_all(bench, methods.table)
    report = {
        "data": config.evaluate.data,
        "test": _about(examples),
        "trained": provenance(config),
        "settings": {
            "factor": config.factor,
            "steps": config.skim.steps,
            "early": config.skim.early_steps,
            "threads": config.threads,
        },
        "costs": costs(config, student, encoders, methods, examples),
        "video": rows(results, TABLE_1),
        "differences": differences(results, SPARSE),
        "differences_of_paper": differences(results, PAPER),
        **_ours(config, bench, methods, results),
        "as_sparse": rows(run_all(bench, as_sparse(methods, config.factor)), ()),
        "longer": by_length(bench, methods.table | methods.long),
        "combinations": rows(_combinations(config, bench, methods), COMBINATIONS),
        "presets": rows(run_all(bench, methods.presets), PRESETS),
        "seeds": _seeds(results, run_all(bench, methods.seeds)),
        "policies": policies(config),
        "clips": clip_tables(config),
    }
    report["expectations"] = expectations(report)
    report["found"] = _link(target, config.evaluate.found)
    report["commands"] = _all_commands(commands)
    draw(config, examples, methods, report, target)
    write_json(target.with_suffix(".json"), report)
    page = markdown(report)
    target.with_suffix(".md").write_text(page, encoding="utf-8")
    print(page, flush=True)
    return report


def load_examples(config: Config, name: str, classes: Sequence[str]) -> Examples:
    """Return a set with its features, which are computed where they are missing."""
    origin = {"set": describe_set(config, name), "student": file_fingerprint(student_path(config))}
    return Examples(extract_features(config, [name]), classes, origin)


def _about(examples: Examples) -> dict[str, float]:
    lengths = [len(track) for track in examples.tracks]
    silent = sum(not track.audio_valid.any() for track in examples.tracks)
    return {
        "videos": len(lengths),
        "classes": len(examples.classes),
        "mean_s": float(np.mean([item.video.duration for item in examples.videos])),
        "mean_timestamps": float(np.mean(lengths)),
        "hop": examples.videos[0].hop,
        "without_sound": silent,
    }


def costs(
    config: Config, student: Student, encoders: Encoders, methods: Lineup, examples: Examples
) -> dict[str, Any]:
    """Return what the parts cost: an image, a window, a clip of the teacher, a classification, a skim."""
    found: dict[str, Any] = {
        "image": encoders.image.to_plain(),
        "window": encoders.window.to_plain(),
        "classifier": classifier_cost(student).to_plain(),
    }
    if config.teacher.train:
        # What it has learnt makes no difference to what it costs.
        teacher = build_teacher(config.teacher, examples.classes)
        found["clip"] = clip_cost(teacher, config.teacher.side).to_plain()
    if methods.ours is not None:
        sparse = two_densities(config, methods)
        tracks = examples.tracks
        sizes = np.array([(len(track), *sparse.pairs(track)) for track in tracks])
        n, images, windows = np.median(sizes, axis=0).astype(int).tolist()
        features, steps = tracks[0].image.shape[1], config.skim.steps
        found["skim"] = {
            "timestamps": n,
            "image_knots": images,
            "audio_knots": windows,
            "steps": steps,
            "macs": skim_parts(methods.ours, features, (n, images, windows), steps),
            "seconds": measure(methods.ours, skim_batch(features, n, images, windows), steps),
        }
    return found


def two_densities(config: Config, methods: Lineup) -> TwoDensities:
    """Return ours as Table 1 has it, sparse."""
    if methods.ours is None:
        raise ValueError("the skimmer is not trained")
    several = config.skim.several
    return TwoDensities(SPARSE, methods.ours, config.skim.steps, config.factor, config.factor, several)


def _ours(config: Config, bench: Bench, methods: Lineup, results: Mapping[str, Result]) -> dict[str, Any]:
    """Measure everything that needs the skimmer."""
    if methods.ours is None:
        return {"curves": {"factors": [], "steps": {}}, "knots_inside": []}
    sparse = two_densities(config, methods)
    dense = replace(sparse, name="ours (dense)", image_factor=1, audio_factor=1)
    stopped, paper = [sparse, dense], methods.table.get(PAPER)
    if isinstance(paper, Skimming):
        stopped.append(replace(sparse, name=PAPER, skimmer=paper.skimmer))
    validation = [
        track
        for name in config.skim.validation
        for track in load_examples(config, name, bench.examples.classes).tracks
    ]
    return {
        "curves": {
            "factors": curves.by_factor(bench, sparse),
            "steps": {skimmer.name: curves.by_step(bench, skimmer) for skimmer in stopped},
        },
        "knots_inside": curves.by_knots(bench, sparse, dense, config.skim.early_steps),
        "fewer_frames": fewer_frames(bench, sparse),
        "classes": by_class(bench.examples, results[SPARSE], results["UNIFORM"]),
        "calibration": calibration(bench, sparse, validation),
    }


def run_all(bench: Bench, methods: Mapping[str, Method]) -> dict[str, Result]:
    """Run every method."""
    return {name: bench.run(method) for name, method in methods.items()}


def _combinations(config: Config, bench: Bench, methods: Lineup) -> dict[str, Result]:
    """Run Fig. 7 and Table 2: what was trained, and a recogniser at all sparse skimmers' moments."""
    found = run_all(bench, methods.combinations)
    recogniser = load_recogniser(config) if metrics_path(config).exists() else None
    if recogniser is not None:
        sight = Sight(recogniser.network, recogniser.settings, config.skim.several)
        skimmers = [methods.table.get(SPARSE), *methods.combinations.values()]
        indexes = [m for m in skimmers if isinstance(m, Skimming) and m.factor == config.factor]
        found |= recognise(bench, sight, indexes)
    return found


def rows(results: Mapping[str, Result], expected: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row for each name, without numbers where it was not run; then what was not expected."""
    names = dict.fromkeys([*expected, *results])
    return [results[name].row() if name in results else {"method": name} for name in names]


def as_sparse(methods: Lineup, factor: int) -> dict[str, Method]:
    """Return the methods that see every timestamp in Table 1, on every ``factor``-th alone."""
    chosen = [methods.table[name] for name in DENSE_ROWS if name in methods.table]
    thinned = [Thinned(f"{method.name}, 1 of {factor}", method, factor) for method in chosen]
    return {method.name: method for method in thinned}


def _seeds(results: Mapping[str, Result], others: Mapping[str, Result]) -> dict[str, Any]:
    if SPARSE not in results:
        return {"rows": []}
    found = [results[SPARSE].row(), *(result.row() for result in others.values())]
    return {"rows": found, "spread": spread(found)}


def draw(config: Config, examples: Examples, methods: Lineup, report: dict[str, Any], target: Path) -> None:
    """Draw the pictures beside the page; their names go into the report."""
    if methods.ours is None:
        return
    lines = [row for row in report["video"] if row["method"] in curves.LINES and "top1" in row]
    plot, picture = (target.with_name(f"{target.name}-{name}") for name in ("curves.png", "moments.jpg"))
    curves.draw(report["curves"]["factors"], report["curves"]["steps"], lines, plot)
    numbers = [number for number in config.evaluate.pictures if number < len(examples.videos)]
    moments.draw(examples, two_densities(config, methods), numbers, picture)
    report["plots"] = {"curves": plot.name, "moments": picture.name}


def _all_commands(commands: Sequence[str]) -> list[str]:
    """Put the commands that train what is compared before the last, which evaluates."""
    compared = [
        command.replace("training evaluate", f"training {name}")
        for command in commands[-1:]
        for name in ("clips", "variants")
    ]
    return [*commands[:-1], *compared, *commands[-1:]]


def _link(target: Path, page: str | None) -> str | None:
    return None if page is None else Path(os.path.relpath(page, target.parent)).as_posix()

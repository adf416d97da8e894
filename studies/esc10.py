"""ESC-10 by ear, through ``all``: from random weights, and from what encoders were published with.

    python -m studies.esc10 --data ESC10 --weights FOLDER --work WORK --output results/esc10.json

ESC10 holds a folder a class with files named FOLD-ID-TAKE; FOLDER holds yamnet.tflite, and torchvision's file
of ResNet-18 if that is at hand. For each row and each of the five folds, a plan is made of the other four by
``python -m training all``, and asked about the fold's files. What is finished is not begun again.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.__main__ import STAGES
from training.journey.rows import score
from training.journey.steps import Request, make_plan
from training.models.weights import LITE, PACKAGE, YAMNET, find_weights
from training.pages import render
from training.prepare.groups import sources
from training.prepare.layouts import Listed
from training.prepare.library import media_files
from training.runs.files import write_atomically, write_json

PAGE = "studies/esc10.md.j2"
FOLDS = ("1", "2", "3", "4", "5")


@dataclass(frozen=True, slots=True)
class Row:
    """A way to begin.

    Attributes:
        name: In the table.
        about: What it begins with.
        settings: As ``--set`` takes them.
    """

    name: str
    about: str
    settings: tuple[str, ...]


def rows(weights: Path, epochs: int | None) -> list[Row]:
    """Return the rows for which everything is at hand."""
    short = () if epochs is None else (f"student.epochs={epochs}",)
    random = Row(
        "ResNet-18 from random weights",
        "as `all` does it where nothing is installed: a quarter of the channels, all weights learn",
        ("model.audio=resnet18", "model.audio_width=0.25", *short),
    )
    found = [random]
    for name, about, encoder, source in (
        ("ResNet-18", "ImageNet weights, on the spectrogram", "resnet18", str(weights)),
        ("EfficientNet-Lite0", "ImageNet weights of the package, on the spectrogram", LITE, PACKAGE),
        ("YAMNet", "AudioSet weights", YAMNET, str(weights)),
    ):
        try:
            find_weights(encoder, source)
        except ValueError as error:
            print(f"{name}: left out: {error}", flush=True)
            continue
        settings = (f"model.audio={encoder}", f"model.audio_weights={source}", "model.tune=none")
        found.append(Row(f"{name}, frozen", about, settings))
    return found


def table(data: Path, fold: str, path: Path) -> Path:
    """Write the annotations of a fold: its files are the test."""
    files = [(file, file.parent.name, file.stem.partition("-")[0]) for file in media_files(data)]
    lines = [
        (str(file.relative_to(data)), label, "test" if own == fold else "train") for file, label, own in files
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("path", "label", "split"), *lines])
    return path


def run_fold(data: Path, row: Row, fold: str, work: Path) -> dict[str, Any]:
    """Make a plan of four folds, and ask it about the fifth; returns what the report says of it."""
    kept = work / f"fold-{fold}.json"
    if kept.exists():
        found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        return found
    begin, before = time.monotonic(), time.process_time()
    annotations = table(data, fold, work / f"fold-{fold}.csv")
    plan = work / f"fold-{fold}.plan"
    # Embeddings are kept in the folder of the row, so that fold 1 alone computes them; its time is told.
    report = make_plan(
        Request(data, plan, work, "csv", (annotations,), overrides=row.settings),
        {name: run for name, run in STAGES.items() if name != "clips"},
    )
    seconds = time.monotonic() - begin - report["seconds"]["score"]
    entry = {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(time.process_time() - before, 1),
        "steps": report["seconds"],
        "rows": report["held_out"]["rows"],
        "answers": report["held_out"]["answers"],
        "head": report["head"],
        "chosen": report["chosen"],
    }
    write_json(kept, entry)
    return entry


def summary(row: Row, folds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a row of the table: the mean over the folds, and the interval over all files."""
    answers = [answer for fold in folds.values() for answer in fold["answers"]]
    right = [answer["said"] == answer["label"] for answer in answers]
    listed = [Listed(Path(answer["video"]), (answer["label"],)) for answer in answers]
    named = sources(listed)
    groups = [named.get(video.path, str(video.path)) for video in listed]
    each = {
        fold: float(np.mean([a["said"] == a["label"] for a in entry["answers"]]))
        for fold, entry in folds.items()
    }
    return {
        "name": row.name,
        "about": row.about,
        "folds": each,
        "mean": float(np.mean(list(each.values()))),
        "spread": float(np.std(list(each.values()), ddof=1)) if len(each) > 1 else 0.0,
        **score(right, groups),
        "groups": len(set(groups)),
        "seconds": folds[min(folds)]["seconds"],
        "cpu_seconds": folds[min(folds)]["cpu_seconds"],
        "heads": {fold: entry["head"] for fold, entry in folds.items()},
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="ESC-10, a folder a class")
    parser.add_argument("--weights", type=Path, required=True, help="folder of published weights")
    parser.add_argument("--work", type=Path, required=True, help="what is in between; kept between runs")
    parser.add_argument("--output", type=Path, required=True, help="the numbers; the page goes beside them")
    parser.add_argument(
        "--epochs", type=int, help="of the row from random weights, if not as many as `all` takes"
    )
    parser.add_argument(
        "--folds", nargs="+", default=FOLDS, choices=FOLDS, help="only some of them, to rehearse"
    )
    parser.add_argument("--only", help="only rows whose name begins so, to rehearse")
    options = parser.parse_args(arguments)
    wanted = [r for r in rows(options.weights, options.epochs) if r.name.startswith(options.only or "")]
    found: list[dict[str, Any]] = []
    # The quick ones first; what is finished is on the page while the others run.
    for row in reversed(wanted):
        work = options.work / row.name.lower().replace(" ", "-").replace(",", "")
        folds = {fold: run_fold(options.data, row, fold, work) for fold in options.folds}
        found.insert(0, summary(row, folds))
        missing = [row.name for row in wanted[: -len(found)]]
        write(options.output, found, missing, files=len(media_files(options.data)), epochs=options.epochs)


def write(
    output: Path, found: list[dict[str, Any]], missing: list[str], *, files: int, epochs: int | None
) -> None:
    """Write the numbers of the rows that are finished, and the page, which names the others."""
    result = {
        "files": files,
        "epochs": epochs,
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "rows": found,
        "missing": missing,
    }
    write_json(output, result)
    page = render(PAGE, **result)
    write_atomically(output.with_suffix(".md"), lambda file: file.write(page.encode()))
    print(page, flush=True)


if __name__ == "__main__":
    main()

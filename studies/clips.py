"""What published ears and eyes, frozen, make of the clips of AV-Digits and AV-Kinetic.

    python -m studies.clips --recordings RECORDINGS --weights FOLDER --work WORK --output results/clips.json

RECORDINGS is what ``python -m training.data.digits.published`` writes; without it AV-Kinetic alone is asked.
Sets are rendered, and a plan is made of each by ``python -m training all``, with EfficientNet-Lite0 looking
and YAMNet listening, and asked about files that nothing learnt from. What is finished is not begun again.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.__main__ import STAGES
from training.data import synth
from training.data.digits import __main__ as digits
from training.journey.steps import Request, make_plan
from training.pages import render
from training.runs.files import write_atomically, write_json

PAGE = "studies/clips.md.j2"
KINETIC = ("--split", "clips", "--config", "training/configs/synth-clips.toml")


def rendered(recordings: Path | None, work: Path, sizes: tuple[int, int]) -> dict[str, dict[str, Path]]:
    """Render what is missing of each set's clips to learn from and to ask about."""
    train, test = map(str, sizes)
    wanted: dict[str, Any] = {
        "AV-Kinetic": (
            synth.main,
            {
                "train": ("--seed", "1001", "--count", train, *KINETIC),
                "test": ("--seed", "9002", "--count", test, *KINETIC),
            },
        )
    }
    if recordings is not None:
        data = ("--data", str(recordings), "--clips")
        wanted["AV-Digits"] = (
            digits.main,
            {
                "train": (*data, "--split", "train", "--seed", "3001", "--count", train),
                "test": (*data, "--split", "test", "--seed", "3003", "--count", test),
            },
        )
    found: dict[str, dict[str, Path]] = {}
    for name, (main, sets) in wanted.items():
        found[name] = {}
        for split, options in sets.items():
            folder = work / name.lower() / split
            if status := main([*options, "--output", str(folder)]):
                raise SystemExit(status)
            found[name][split] = folder
    return found


def table(sets: dict[str, Path], path: Path) -> Path:
    """Write the annotations: which clip has which label, and which are the test."""
    lines = [("path", "label", "split")]
    for split, folder in sets.items():
        for text in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
            entry = json.loads(text)
            lines.append((f"{split}/{entry['path']}", entry["label"], split))
    with path.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows(lines)
    return path


def asked(name: str, sets: dict[str, Path], weights: Path) -> dict[str, Any]:
    """Make the plan of a set, and return what its report says of the clips that it was asked about."""
    folder = sets["train"].parent
    kept = folder / "found.json"
    if kept.exists():
        found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        return found
    # A digit in a mirror is no digit; the embeddings of a clip take minutes, those of its mirror as long.
    settings = ("student.flip=false",)
    request = Request(
        folder,
        folder / "engine.plan",
        folder / "work",
        "csv",
        (table(sets, folder / "clips.csv"),),
        overrides=settings,
        weights=weights,
    )
    report = make_plan(request, {stage: run for stage, run in STAGES.items() if stage != "clips"})
    entry = {
        "name": name,
        "learnt": report["footage"]["kept"] - report["held_out"]["rows"][0]["videos"],
        "rows": report["held_out"]["rows"],
        "chosen": {what: value for what, value in report["chosen"].items() if not what.endswith("_weights")},
        "head": report["head"],
        "seconds": report["seconds"],
    }
    write_json(kept, entry)
    return entry


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--recordings", type=Path, help="digits, voices and sounds of AV-Digits")
    parser.add_argument("--weights", type=Path, required=True, help="folder of published weights")
    parser.add_argument("--work", type=Path, required=True, help="what is in between; kept between runs")
    parser.add_argument("--output", type=Path, required=True, help="the numbers; the page goes beside them")
    parser.add_argument("--train", type=int, default=800, help="clips of a set to learn from")
    parser.add_argument("--test", type=int, default=320, help="clips of a set to ask about")
    options = parser.parse_args(arguments)
    sets = rendered(options.recordings, options.work, (options.train, options.test))
    result = {"sets": [asked(name, found, options.weights) for name, found in sorted(sets.items())]}
    write_json(options.output, result)
    page = render(PAGE, **result)
    write_atomically(options.output.with_suffix(".md"), lambda file: file.write(page.encode()))
    print(page, flush=True)


if __name__ == "__main__":
    main()

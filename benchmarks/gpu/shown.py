"""`python -m benchmarks.gpu.shown`: what GPUs have shown, in docs/gpu.md, from the results files alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.gpu.section import DONE
from benchmarks.gpu.site import ROOT

FOLDER = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "gpu.md"
BEGIN, END = "<!-- shown: begin -->", "<!-- shown: end -->"
NOT_YET = "**not yet**"
ELSEWHERE = "needs another machine"
ELSEWHERE_ALONE = {"encoders", "decoding", "pipeline tests"}
"""What a machine with a GPU but no network, TensorRT or DALI cannot run."""

SUBJECTS = {
    "the skimmer's kernels agree with the reference, and stay in their arrays": (
        "tests",
        "stress",
        "memcheck",
        "synccheck",
        "racecheck",
    ),
    "how fast they are": ("skimmer", "ways", "interpolation"),
    "TensorRT's engines run, agree with PyTorch, and are faster": ("encoders", "pipeline tests"),
    "the GPU's decoder gives PyAV's pictures": ("decoding",),
    "whole predictions say what the CPU's say": ("agreement",),
    "how fast they are, beside the CPU, PyTorch and the dense student": ("pipelines",),
    "2,000 predictions leave its memory flat": ("memory",),
}
"""What is to be shown, and the sections of the check that show it, on one GPU."""


def showing(sections: Iterable[str], files: Iterable[Path]) -> list[str]:
    """The GPUs on which all of these sections were measured and met their goals, each with a day."""
    return [who for who, missed in _measured(sections, files) if not missed]


def measured(sections: Iterable[str], files: Iterable[Path]) -> list[str]:
    """The GPUs on which all of these were measured; where goals were not met, those sections are named."""
    return [
        f"{who} (goals not met: {', '.join(missed)})" if missed else who
        for who, missed in _measured(sections, files)
    ]


def _measured(sections: Iterable[str], files: Iterable[Path]) -> list[tuple[str, list[str]]]:
    wanted, found = list(sections), []
    for file in sorted(files):
        plain: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        records = {name: plain["sections"].get(name, {}) for name in wanted}
        if all(each.get("state") == DONE and each["measured"] for each in records.values()):
            day = max(each["when"] for each in records.values())[:10]
            missed = [name for name, each in records.items() if each["goal met"] is not True]
            found.append((f"{plain['device']}, {day}", missed))
    return found


def results() -> list[Path]:
    """The results files of GPUs."""
    return sorted(FOLDER.glob("gpu-*.json"))


def _without(sections: Iterable[str]) -> str:
    """What is said where no GPU has run them: some cannot run on the one that is there."""
    return f"{NOT_YET}: {ELSEWHERE}" if ELSEWHERE_ALONE & set(sections) else NOT_YET


def render(files: list[Path]) -> str:
    """The table, between its marks."""
    rows = [
        f"| {subject} | {', '.join(names)} | {'; '.join(measured(names, files)) or _without(names)} |"
        for subject, names in SUBJECTS.items()
    ]
    return "\n".join([BEGIN, "| | sections | shown on |", "|---|---|---|", *rows, END])


def replaced(page: str, table: str) -> str:
    """The page with this table in the place of its own."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"the page has no {BEGIN} … {END}")
    return before + table + after


if __name__ == "__main__":
    text = replaced(PAGE.read_text(encoding="utf-8"), render(results()))
    PAGE.write_text(text, encoding="utf-8")
    print(PAGE)

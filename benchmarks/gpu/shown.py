"""`python -m benchmarks.gpu.shown`: what GPUs have shown, in docs/gpu.md, from the results files alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.gpu.site import ROOT

FOLDER = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "gpu.md"
BEGIN, END = "<!-- shown: begin -->", "<!-- shown: end -->"
NOT_YET = "**not yet**"

SUBJECTS = {
    "the skimmer's kernels agree with the reference, and stay in their arrays": (
        "tests",
        "memcheck",
        "racecheck",
    ),
    "how fast they are": ("skimmer", "interpolation"),
    "TensorRT's engines run, agree with PyTorch, and are faster": ("encoders",),
    "the GPU's decoder gives PyAV's pictures": ("decoding",),
    "whole predictions say what the CPU's say": ("agreement", "pipeline tests"),
    "how fast they are, beside the CPU, PyTorch and the dense student": ("pipelines",),
    "2,000 predictions leave its memory flat": ("memory",),
}
"""What is to be shown, and the sections of the check that show it, all of which have to pass on one GPU."""


def showing(sections: Iterable[str], files: Iterable[Path]) -> list[str]:
    """Return the GPUs on which all of these sections passed, each with the day of the last of them."""
    found = []
    for file in sorted(files):
        plain: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        records = [plain["sections"].get(name, {}) for name in sections]
        if all(record.get("status") == "passed" for record in records):
            found.append(f"{plain['device']}, {max(record['when'] for record in records)[:10]}")
    return found


def results() -> list[Path]:
    """Return the results files of GPUs."""
    return sorted(FOLDER.glob("gpu-*.json"))


def render(files: list[Path]) -> str:
    """Return the table, between its marks."""
    rows = [
        f"| {subject} | {', '.join(sections)} | {'; '.join(showing(sections, files)) or NOT_YET} |"
        for subject, sections in SUBJECTS.items()
    ]
    return "\n".join([BEGIN, "| | sections | shown on |", "|---|---|---|", *rows, END])


def replaced(page: str, table: str) -> str:
    """Return the page with this table in the place of its own."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"the page has no {BEGIN} … {END}")
    return before + table + after


if __name__ == "__main__":
    text = replaced(PAGE.read_text(encoding="utf-8"), render(results()))
    PAGE.write_text(text, encoding="utf-8")
    print(PAGE)

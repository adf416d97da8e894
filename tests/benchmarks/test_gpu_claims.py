"""README and docs claim of a GPU what results files show, and mark the rest as not run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.gpu import shown
from benchmarks.gpu.child import SECTIONS
from benchmarks.gpu.section import NOT_RUN, broken, finished, goal

README = {
    '`Classifier(plan, device="cuda")`': ("pipelines", "agreement"),
    "CUDA skimmer and its operations": ("tests",),
    "TensorRT": ("encoders",),
    "DALI": ("decoding",),
}
"""Rows of "What runs where", and the sections that show them."""
DOCS = {
    "docs/gpu.md": "None of this has run on a GPU yet",
    "docs/design.md": "None of it has run on a GPU yet",
}
MARKS = ("Not yet run on a GPU", "No engine has run on a GPU yet")


def results(folder: Path, device: str = "NVIDIA H100", **sections: bool | None) -> Path:
    """By section whether its goals were met; None for one that was not run."""
    path = folder / f"gpu-{device.lower().replace(' ', '-')}.json"
    records = {}
    for name, met in sections.items():
        made = broken(NOT_RUN, "no GPU") if met is None else finished([goal("a goal", met)], "")
        records[name.replace("_", " ")] = made | {"when": "2026-11-23T06:00:00+00:00"}
    path.write_text(json.dumps({"device": device, "sections": records}))
    return path


def test_the_page_is_what_the_results_files_give() -> None:
    page = shown.PAGE.read_text()
    assert shown.replaced(page, shown.render(shown.results())) == page, "run python -m benchmarks.gpu.shown"


def test_every_section_of_a_subject_is_one_of_the_check() -> None:
    named = [name for sections in (*shown.SUBJECTS.values(), *README.values()) for name in sections]
    assert set(named) <= set(SECTIONS)


def test_a_subject_is_shown_when_all_of_its_sections_were_measured_on_one_gpu(tmp_path: Path) -> None:
    assert shown.render([]).count(shown.NOT_YET) == len(shown.SUBJECTS)
    whole = results(tmp_path, agreement=True, memory=False, encoders=True, pipeline_tests=None)
    half = results(tmp_path, "NVIDIA L4", agreement=None, pipelines=None, memory=None)
    table = shown.render([whole, half])
    assert "| agreement | NVIDIA H100, 2026-11-23 |" in table
    assert "| memory | NVIDIA H100, 2026-11-23 (goals not met: memory) |" in table
    assert f"| encoders, pipeline tests | {shown.NOT_YET}: {shown.ELSEWHERE} |" in table
    assert f"| pipelines | {shown.NOT_YET} |" in table
    assert "L4" not in table
    assert shown.showing(["agreement"], [whole, half]) == ["NVIDIA H100, 2026-11-23"]
    assert shown.showing(["memory"], [whole]) == [], "it missed its goal"


def test_what_was_running_when_the_time_was_over_shows_nothing(tmp_path: Path) -> None:
    path = results(tmp_path, skimmer=True, ways=True, interpolation=True)
    plain = json.loads(path.read_text())
    plain["sections"]["ways"] |= {"state": "running", "measured": True, "goal met": None}
    path.write_text(json.dumps(plain))
    assert shown.measured(["skimmer", "ways", "interpolation"], [path]) == []


@pytest.mark.parametrize("subject", README)
def test_the_readme_marks_what_no_gpu_has_run(subject: str) -> None:
    """No results file, no claim; and once there is one, the mark goes."""
    text = (shown.ROOT / "README.md").read_text()
    (row,) = (line for line in text.splitlines() if line.startswith(f"| {subject}"))
    assert any(mark in row for mark in MARKS) == (not shown.showing(README[subject], shown.results()))


@pytest.mark.parametrize("page", DOCS)
def test_docs_say_so_too(page: str) -> None:
    any_section = any(shown.measured([name], shown.results()) for name in SECTIONS)
    assert (DOCS[page] in " ".join((shown.ROOT / page).read_text().split())) == (not any_section)

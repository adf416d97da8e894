"""``python -m benchmarks.render``: docs/benchmarks.md from the results files, and from nothing else."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import results
from training import pages

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
TEMPLATE = "benchmarks/page.md.j2"

Case = Mapping[str, Any]
Sections = Mapping[str, Mapping[str, Case]]


def render(files: Iterable[Path]) -> str:
    """The page, with a part for each results file."""
    documents = [_document(json.loads(file.read_text(encoding="utf-8"))) for file in files]
    page = pages.render(
        TEMPLATE, documents=documents, profile=_profile, ratios=_ratios, remarks=_remarks, time=_time
    )
    return "\n".join(map(_wrapped, page.rstrip().split("\n"))) + "\n"


def _wrapped(line: str) -> str:
    """Prose in lines of at most 120 characters; the rows of tables are what they are."""
    if len(line) <= 120 or line.startswith("|"):
        return line
    indent = "  " if line.startswith("* ") else ""
    return textwrap.fill(line, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _document(plain: Mapping[str, Any]) -> dict[str, Any]:
    """A results file as the template wants it."""
    sections: Sections = plain["sections"]
    return {
        "machine": plain["machine"],
        "files": sections.get("files", {}),
        "targets": list(_targets(sections)),
        "not_run": [
            f"{section}: {name} ({case['not_run']})"
            for section, cases in sections.items()
            for name, case in cases.items()
            if "not_run" in case
        ],
        "sections": {name: section for name, cases in sections.items() if (section := _section(cases))},
    }


def _targets(sections: Sections) -> Iterator[dict[str, Any]]:
    """What was aimed at, each with its case."""
    for section, cases in sections.items():
        for name, case in cases.items():
            for target in case.get("targets", ()):
                yield {"title": f"{section}: {name}", "case": case, **target}


def _section(cases: Mapping[str, Case]) -> dict[str, Any]:
    """The cases of a section that ran, at which revisions, and who was timed; empty if none ran."""
    ran = {title: case for title, case in cases.items() if "not_run" not in case}
    timed = {title: case for title, case in ran.items() if case["seconds"]}
    if not ran:
        return {}
    return {
        "cases": ran,
        "timed": timed,
        "runs": sorted({f"{case['run']['date']} at {case['run']['commit']}" for case in ran.values()}),
        "columns": list(dict.fromkeys(name for case in timed.values() for name in case["seconds"])),
    }


def _profile(case: Case) -> str:
    """Stages by the wall clock, which overlap; CPU-seconds of all, of the floor's parts, and beyond."""
    parts = []
    if stages := case.get("stages"):
        parts.append("stages: " + _times({name: s for name, s in stages.items() if name != "total"}))
    if cpu := case.get("cpu"):
        parts.append("CPU: " + _times(cpu))
    return "; ".join(parts)


def _times(seconds: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {_time(value)}" for name, value in seconds.items())


def _time(seconds: float) -> str:
    if seconds >= 0.9995:
        return f"{seconds:.3g} s"
    return f"{1e3 * seconds:.3g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.3g} µs"


def _ratios(case: Case) -> str:
    """How many times faster ours is than its peers, and which targets that meets."""
    marks = {target["what"]: target for target in case["targets"]}
    texts = []
    for what, value in case.get("ratios", {}).items():
        text = f"{what} {value:.3g}"
        if what in marks:
            target = marks[what]
            text += f" ({target['target']}: {'met' if target['met'] else '**missed**'})"
        texts.append(text)
    return "; ".join(texts)


def _remarks(case: Case) -> str:
    """What explains a row; empty where nothing does."""
    parts = []
    if "image_knots" in case:
        parts.append(
            f"{case['image_knots']} frames and {case['audio_knots']} sounds used, "
            f"{case['frames_decoded']} frames decoded ({case['floor_frames']} by the floor)"
        )
    for name in ("megabytes", "knots", "precision", "videos_per_second"):
        if name in case:
            parts.append(f"{name.replace('_', ' ')} {_plain(case[name])}")
    if not case["seconds"] or "stages" in case:
        profile = _profile(case) or "see the table"
        parts += [text for text in (_ratios(case) if not case["seconds"] else "", profile) if text]
    return "; ".join(parts)


def _plain(value: object) -> str:
    return ", ".join(f"{k} {v:g}" for k, v in value.items()) if isinstance(value, dict) else str(value)


if __name__ == "__main__":
    PAGE.write_text(render(sorted(results.FOLDER.glob("cpu-*.json"))), encoding="utf-8")
    print(PAGE)

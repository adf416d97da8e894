"""``python -m benchmarks.render``: docs/benchmarks.md from the results files, and from nothing else."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import results

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
Cases = dict[str, dict[str, Any]]

SENTENCES = {
    "predictions": "From a path to a label: opening, decoding, encoding and skimming are all counted.",
    "decoding": "Frames and sound at the same moments, brought to the size the networks take.",
    "encoding": "The networks alone, on samples in memory; the engine at its default precision.",
    "many": "32 files of 33 s, several in work at once.",
    "deadlines": "`budget_ms` on files of 2 minutes to an hour; late is over it by more than 20 % and 20 ms.",
    "memory": "Peak resident memory of a fresh process that answers once, with the default options.",
    "start": "Fresh processes, the default options; Python's own start is not counted.",
    "kernels": "The skimmer and the interpolation alone, at the paper's sizes.",
}
INTRODUCTION = """\
Written by `make bench` from [benchmarks/results](../benchmarks/results); no number here was typed by hand.
Seconds are medians of runs that alternate with the peers' in one process; ratios are of medians. Networks
have the paper's sizes (ResNet-18 twice, LSTM 1024, T = 10, hop 16/30 s, every fifth timestamp) and random
weights. Files are generated: textures with the spectrum of photographs, moving objects, cuts, varied sound.
"""
PEERS = """\
* **plain sparse**: the paper's pipeline written plainly: PyAV seeks exactly to every fifth timestamp,
  torchvision and torchaudio transforms, PyTorch eager in fp32, nothing fused. It has the same weights, and
  the benchmark checks that it gives the same answer.
* **dense student**: every timestamp, the whole file decoded, the two networks and their fusion on each pair.
* **dense clips**: R(2+1)D-18 on every clip of 16 frames. The file is decoded whole; 20 clips spread over it
  are run, and the others are **extrapolated** from these.
* **Transformers pipeline**: `VideoClassificationPipeline` with a VideoMAE-base of random weights. Its default
  sampling takes the first 16 frames, so half a second of the file and no sound, whatever its length.
* **floor**: CPU-seconds of one thread of FFmpeg decoding exactly the frames and windows that we decode
  (nothing resized or resampled) plus CPU-seconds of one thread of OpenVINO on tensors in memory, divided by
  the threads: what perfect overlap of just these two would take.
"""


def render(files: list[Path]) -> str:
    """The page, a part for each results file."""
    parts = [
        "# Benchmarks",
        "",
        INTRODUCTION,
        PEERS,
    ]
    for file in files:
        parts += _machine_part(json.loads(file.read_text(encoding="utf-8")))
    return "\n".join(map(_wrapped, parts)).rstrip() + "\n"


def _wrapped(line: str) -> str:
    """Prose in lines of at most 120 characters; the rows of tables are what they are."""
    if len(line) <= 120 or line.startswith("|") or "\n" in line:
        return line
    indent = "  " if line.startswith("* ") else ""
    return textwrap.fill(line, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _machine_part(plain: dict[str, Any]) -> Iterator[str]:
    machine, sections = plain["machine"], plain["sections"]
    yield f"## {machine['cpu']}, {machine['cores']} cores"
    yield ""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    features = ", ".join(machine["features"]) or "none of note"
    yield f"{machine['system']}, Python {machine['python']}, {versions}. Processor features: {features}."
    yield ""
    yield from _targets(sections)
    yield from _files(sections.pop("files", {}))
    for name in [*SENTENCES, *sorted(sections.keys() - SENTENCES.keys())]:
        if name in sections:
            yield from _section(name, sections[name])


def _files(cases: Cases) -> Iterator[str]:
    if not cases:
        return
    yield "### Files"
    yield ""
    yield "Longer ones repeat the packets of shorter ones; nothing was encoded twice."
    yield ""
    yield "| | length | picture | sound | key frames | size |"
    yield "|---|---|---|---|---|---|"
    for name, case in cases.items():
        facts = case["file"]
        size = f"{facts['width']}x{facts['height']}, {facts['rate']:g}/s"
        picture = f"{facts['video']} {size}, {facts['video_kbps']:.0f} kbit/s"
        sound = f"{facts['audio']} {facts['audio_kbps']:.0f} kbit/s"
        rest = f"every {facts['key_every']:g} s | {facts['megabytes']:g} MB |"
        yield f"| {name} | {facts['seconds']:g} s | {picture} | {sound} | {rest}"
    yield ""


def _targets(sections: dict[str, Cases]) -> Iterator[str]:
    """What was aimed at, misses first, each with where its time goes."""
    rows = [
        (target["met"], f"{section}: {name}", target, case)
        for section, cases in sections.items()
        for name, case in cases.items()
        for target in case.get("targets", ())
    ]
    missed = [row for row in rows if not row[0]]
    yield f"### Targets: {len(rows) - len(missed)} of {len(rows)} met"
    yield ""
    if missed:
        yield "| missed | measured | target | where the time goes |"
        yield "|---|---|---|---|"
        for _, name, target, case in missed:
            measured = f"{target['value']:g} | {target['target']}"
            yield f"| {name}, {target['what']} | {measured} | {_profile(case)} |"
        yield ""
    absent = [
        f"{section}: {name} ({case['not_run']})"
        for section, cases in sections.items()
        for name, case in cases.items()
        if "not_run" in case
    ]
    if absent:
        yield "Not run: " + "; ".join(absent) + "."
        yield ""


def _profile(case: dict[str, Any]) -> str:
    """Stages by the wall clock, which overlap; CPU-seconds of all, of the floor's parts, and beyond."""
    parts = []
    if stages := case.get("stages"):
        parts.append("stages: " + _times({name: s for name, s in stages.items() if name != "total"}))
    if cpu := case.get("cpu"):
        parts.append("CPU: " + _times(cpu))
    return "; ".join(parts) or "see the table"


def _section(name: str, cases: Cases) -> Iterator[str]:
    shown = {title: case for title, case in cases.items() if "not_run" not in case}
    runs = sorted({f"{case['run']['date']} at {case['run']['commit']}" for case in shown.values()})
    if not shown:
        return
    yield f"### {name.capitalize()}"
    yield ""
    yield f"{SENTENCES.get(name, '')} Run {', '.join(runs)}.".strip()
    yield ""
    timed = {title: case for title, case in shown.items() if case["seconds"]}
    columns = list(dict.fromkeys(peer for case in timed.values() for peer in case["seconds"]))
    if timed:
        yield "| | " + " | ".join(columns) + " | ratios |"
        yield "|---" * (len(columns) + 2) + "|"
    for title, case in timed.items():
        cells = [_cell(case["seconds"].get(column)) for column in columns]
        yield f"| {title} | " + " | ".join(cells) + f" | {_ratios(case)} |"
    if timed:
        yield ""
    for title, case in shown.items():
        if extra := _extra(title, case):
            yield f"* {title}: {extra}"
    yield ""


def _cell(seconds: dict[str, Any] | None) -> str:
    return "" if seconds is None else _time(seconds["median"])


def _times(seconds: dict[str, float]) -> str:
    return ", ".join(f"{name} {_time(value)}" for name, value in seconds.items())


def _time(seconds: float) -> str:
    if seconds >= 0.9995:
        return f"{seconds:.3g} s"
    return f"{1e3 * seconds:.3g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.3g} µs"


def _ratios(case: dict[str, Any]) -> str:
    marks = {target["what"]: target for target in case["targets"]}
    texts = []
    for what, value in case.get("ratios", {}).items():
        text = f"{what} {value:.3g}"
        if what in marks:
            target = marks[what]
            text += f" ({target['target']}: {'met' if target['met'] else '**missed**'})"
        texts.append(text)
    return "; ".join(texts)


def _extra(title: str, case: dict[str, Any]) -> str:
    parts = []
    if "image_knots" in case:
        parts.append(
            f"{case['image_knots']} frames and {case['audio_knots']} sounds used, "
            f"{case['frames_decoded']} frames decoded ({case['floor_frames']} by the floor)"
        )
    for name in ("megabytes", "knots", "precision", "videos_per_second", "key_frames"):
        if name in case:
            parts.append(f"{name.replace('_', ' ')} {_plain(case[name])}")
    if not case["seconds"] or "stages" in case:
        parts += [text for text in (_ratios(case) if not case["seconds"] else "", _profile(case)) if text]
    return "; ".join(parts)


def _plain(value: object) -> str:
    return ", ".join(f"{k} {v:g}" for k, v in value.items()) if isinstance(value, dict) else str(value)


if __name__ == "__main__":
    PAGE.write_text(render(sorted(results.FOLDER.glob("cpu-*.json"))), encoding="utf-8")
    print(PAGE)

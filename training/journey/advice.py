"""What a user should do next, by the report on a plan made of their own footage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FEW = 20
"""Videos a class below which more of them are the first thing to ask for."""

FEW_TESTED = 100
"""Held-out videos below which a cross-validation tells much more."""


def advice(report: Mapping[str, Any]) -> list[str]:
    """Return what would help most, from what is in the report."""
    return [*_on_score(report["held_out"]), *_on_footage(report), *_on_next(report)]


def _on_score(score: Mapping[str, Any]) -> list[str]:
    if not score["videos"]:
        return [
            "No class has two videos, so none was held out: nobody knows how good the plan is. Add videos."
        ]
    said = []
    if score["low"] <= max(score["chance"], score["majority"]):
        said.append(
            "The score is not shown to be better than guessing: its interval reaches down to that. Held-out "
            "videos are few, or what was learnt is little; more videos help both."
        )
    missed = [label for label, own in score["by_class"].items() if own["videos"] >= 2 and not own["right"]]
    if missed:
        said.append(f"Never recognised: {', '.join(missed)}. Look at their videos first.")
    pairs = [" and ".join(pair["classes"]) for pair in score.get("confused", ())]
    if pairs:
        said.append(
            f"Not told apart: {'; '.join(pairs[:5])}. If they are one thing to you, make them one class; "
            "else add videos in which they differ."
        )
    return said


def _on_footage(report: Mapping[str, Any]) -> list[str]:
    footage, said = report["footage"], []
    counts = {label: sum(splits.values()) for label, splits in footage.get("classes", {}).items()}
    single = [label for label, count in counts.items() if count == 1]
    if single:
        said.append(f"A single video each, learnt from and never tested: {', '.join(single)}.")
    few = [f"{label} ({count})" for label, count in counts.items() if 1 < count < FEW]
    if few:
        said.append(
            f"Fewer than {FEW} videos: {', '.join(few)}. Tens of varied ones a class are a good start."
        )
    if footage.get("kept") and footage["without_sound"] == footage["kept"]:
        said.append("No video has sound, so the plan only looks; sound would let it choose where to look.")
    if footage.get("kept") and footage["without_picture"] == footage["kept"]:
        said.append("No file has pictures, so the plan only listens.")
    if footage.get("unreadable"):
        count = len(footage["unreadable"])
        said.append(f"{count} file{'s' if count > 1 else ''} could not be read; see below.")
    doubted = report.get("alike", {}).get("doubted")
    if doubted:
        said.append(
            f"{doubted} videos are nearly alike. If they are cut from the same recordings, say so: name them "
            "RECORDING_part1, RECORDING_part2, or give a column `group` in a CSV."
        )
    return said


def _on_next(report: Mapping[str, Any]) -> list[str]:
    score, said = report["held_out"], []
    if score.get("how") == "ours" and 0 < score["videos"] < FEW_TESTED:
        said.append("Few videos are held out: `--folds 5` asks about every video, and tells more.")
    if report["chosen"].get("model.tune", "all") == "all":
        said.append("More training: run again with `--set student.epochs=… --set skim.updates=…`.")
    return said

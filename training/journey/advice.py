"""What a user should do next, by the report on a plan made of their own footage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FEW = 20
"""Videos a class below which more of them are the first thing to ask for."""


def advice(report: Mapping[str, Any]) -> list[str]:
    """What would help most, from what is in the report."""
    said = []
    score, footage = report["held_out"], report["footage"]
    if not score["videos"]:
        said.append(
            "No class has two videos, so none was held out: nobody knows how good the plan is. Add videos."
        )
    elif score["low"] <= max(score["chance"], score["majority"]):
        said.append(
            "The score is not shown to be better than guessing: its interval reaches down to that. Held-out "
            "videos are few, or what was learnt is little; more videos help both."
        )
    counts = {label: sum(splits.values()) for label, splits in footage.get("classes", {}).items()}
    single = [label for label, count in counts.items() if count == 1]
    if single:
        said.append(f"A single video each, learnt from and never tested: {', '.join(single)}.")
    few = [f"{label} ({count})" for label, count in counts.items() if 1 < count < FEW]
    if few:
        said.append(
            f"Fewer than {FEW} videos: {', '.join(few)}. Tens of varied ones a class are a good start."
        )
    if score["videos"]:
        by_class = score["by_class"].items()
        missed = [label for label, own in by_class if own["videos"] >= 2 and not own["right"]]
        if missed:
            said.append(f"Never recognised: {', '.join(missed)}. Look at their videos first.")
    if footage.get("kept") and footage["without_sound"] == footage["kept"]:
        said.append("No video has sound, so the plan only looks; sound would let it choose where to look.")
    if footage.get("kept") and footage["without_picture"] == footage["kept"]:
        said.append(
            "No file has pictures: the plan only listens, and what it says of pictures means nothing."
        )
    if footage.get("unreadable"):
        count = len(footage["unreadable"])
        said.append(f"{count} file{'s' if count > 1 else ''} could not be read; see below.")
    said.append("More training: run again with `--set student.epochs=… --set skim.updates=…`.")
    return said

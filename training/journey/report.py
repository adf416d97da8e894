"""The report on a plan made of a user's own footage, as a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FEW = 20
"""Videos a class below which more of them are the first thing to ask for."""

SHOWN = 20
"""Files of a kind that the page names; the JSON names all."""


def markdown(report: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    lines = [
        f"# {report['plan']}",
        "",
        f"{report['bytes'] / 1e6:.1f} MB. Try it: `l2l predict VIDEO --plan {report['plan']}`",
        "",
        "## How good it is",
        "",
        *_score(report["held_out"]),
        "",
        "## What to do next",
        "",
        *(f"- {line}" for line in report["next"]),
        "",
        *_footage(report["footage"]),
        *_left_out(report),
        "## How it was made",
        "",
        "| setting | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in report["chosen"].items()),
        "",
        "| step | seconds in this run |",
        "|---|---|",
        *(f"| {name} | {value:.0f} |" for name, value in report["seconds"].items()),
        *(f"| {name} | skipped: {why} |" for name, why in report["stages_skipped"].items()),
        "",
    ]
    return "\n".join(lines)


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


def _score(score: Mapping[str, Any]) -> list[str]:
    if not score["videos"]:
        return ["No video could be held out, so there is no score."]
    return [
        f"**{_percent(score['top1'])}** of {score['videos']} held-out videos are recognised "
        f"({score['right']} of {score['videos']}; 95 % interval {_percent(score['low'])} to "
        f"{_percent(score['high'])}). Guessing: {_percent(score['chance'])}; always saying "
        f"{score['majority_class']}: {_percent(score['majority'])}.",
        "",
        "Held-out videos were chosen by file name before training, and no weight has seen them. The "
        "temperature of the confidences may come from the same videos; it changes no answer.",
        "",
        "| class | held out | recognised |",
        "|---|---|---|",
        *(f"| {label} | {own['videos']} | {own['right']} |" for label, own in score["by_class"].items()),
    ]


def _footage(footage: Mapping[str, Any]) -> list[str]:
    if not footage:
        return []
    return [
        "## What there was",
        "",
        f"{footage['kept']} of {footage['listed']} videos could be used, {footage['seconds'] / 60:.1f} "
        f"minutes; {footage['without_sound']} without sound, {footage['without_picture']} without pictures.",
        "",
        "| class | learnt from | held out |",
        "|---|---|---|",
        *(
            f"| {label} | {splits.get('train', 0)} | {splits.get('validation', 0) + splits.get('test', 0)} |"
            for label, splits in footage["classes"].items()
        ),
        "",
    ]


def _left_out(report: Mapping[str, Any]) -> list[str]:
    footage = report["footage"]
    lines = [
        *_files("Cannot be read", footage.get("unreadable", {})),
        *_files("Missing", dict.fromkeys(footage.get("missing", []), "no such file")),
        *_files("The same as others", footage.get("repeated", {})),
        *_files(
            "Not in a class folder, or not in the annotations",
            dict.fromkeys(footage.get("not_listed", []), ""),
        ),
        *_files("No video or sound by their names", dict.fromkeys(footage.get("no_media", []), "")),
        *_files("Folders without a video", dict.fromkeys(footage.get("empty_folders", []), "")),
        *_files(
            "Classes of which all is held out", dict.fromkeys(footage.get("classes_not_in_training", []), "")
        ),
        *_files("Not decodable after all", report["not_learnt_from"]),
    ]
    return ["## What was left out", "", *(lines or ["Nothing.", ""])]


def _files(title: str, reasons: Mapping[str, str]) -> list[str]:
    if not reasons:
        return []
    shown = [
        f"- `{name}`: {why.removeprefix(f'{name}: ')}" if why else f"- `{name}`"
        for name, why in list(reasons.items())[:SHOWN]
    ]
    more = [f"- and {len(reasons) - SHOWN} more"] if len(reasons) > SHOWN else []
    return [f"{title} ({len(reasons)}):", "", *shown, *more, ""]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"

"""Reports as Markdown: every number comes from the JSON beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def markdown(report: dict[str, Any]) -> str:
    """The end-to-end report as a page."""
    test, plan, attention = report["test"], report["plan"], report["attention"]
    curves = report["curves"]
    lines = [
        f"# The plan on {report['data']}, end to end",
        "",
        f"{test['videos']} untrimmed videos of {test['classes']} classes, {test['origin']}, "
        f"which no training used, through `Classifier.predict` ({plan['precision']} on the CPU). "
        f"Plan {plan['sha256'][:12]}, {plan['bytes']} bytes.",
        "",
        "| method | top-1 | 95 % interval | videos |",
        "|---|---|---|---|",
        *(_row(name, row) for name, row in report["methods"].items()),
        _row("ours, videos with sound", report["with_sound"]),
        _row("ours, silent videos (look-only)", report["silent"]),
        "",
        "DENSE and UNIFORM average the class scores of the same student's clip classifier over all "
        "timestamps or ten evenly spaced ones.",
        "",
        *table(
            ["steps", *range(1, len(curves["steps"]) + 1)],
            ["top-1", *map(percent, curves["steps"])],
            ["calibration error", *map(percent, curves["calibration_errors"])],
        ),
        *table(["every k-th timestamp", *report["factors"]], ["top-1", *map(percent, curves["factors"])]),
        *table(
            ["knots in the action, with sound", *(_range(row["least"]) for row in curves["knots_inside"])],
            ["videos", *(row["videos"] for row in curves["knots_inside"])],
            [f"top-1 after {report['early_steps']} steps", *map(percent, _column(curves, "early"))],
            ["top-1 after all steps", *map(percent, _column(curves, "top1"))],
        ),
        "These three are of the same skimmer on cached float32 features.",
        "",
        "| attention (median over the videos) | looking | listening |",
        "|---|---|---|",
        "| inside the true stretches, as a multiple of their share of the duration | "
        f"{attention['look_ratio']:.2f} | {attention['listen_ratio']:.2f} |",
        "| moments chosen (peaks) that lie inside the true stretches | "
        f"{percent(attention['look_hits'])} | {percent(attention['listen_hits'])} |",
        "",
        f"Expected calibration error {percent(report['calibration_error'])} (10 bins). "
        f"{report['seconds_a_video']:.2f} s a video (median).",
        "",
        "| class | right |",
        "|---|---|",
        *(f"| {name} | {percent(share)} |" for name, share in report["by_class"].items()),
        "",
        "Made by:",
        "",
        *(f"    {command}" for command in report["commands"]),
        "",
    ]
    return "\n".join(lines)


def table(head: Sequence[object], *rows: Sequence[object]) -> list[str]:
    """Lines of a table, and an empty one."""
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in (head, *rows)]
    return [lines[0], "|---" * len(head) + "|", *lines[1:], ""]


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|")


def _column(curves: dict[str, Any], name: str) -> list[float]:
    return [row[name] for row in curves["knots_inside"]]


def _range(least: int) -> str:
    return {0: "at most 1", 2: "2"}.get(least, f"{least} or more")


def _row(name: str, row: dict[str, float]) -> str:
    if row["videos"] == 0:
        return f"| {name} | - | - | 0 |"
    return (
        f"| {name} | {percent(row['top1'])} | {percent(row['low'])} to {percent(row['high'])} "
        f"| {row['videos']:.0f} |"
    )


def percent(share: float) -> str:
    """A share as it stands in tables."""
    return f"{100 * share:.1f} %"

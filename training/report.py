"""Reports as Markdown: every number comes from the JSON beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def markdown(report: dict[str, Any]) -> str:
    """The end-to-end report as a page."""
    test, plan, attention = report["test"], report["plan"], report["attention"]
    curves = report["curves"]
    lines = [
        "# The demo plan on AV-Kinetic, end to end",
        "",
        f"{test['videos']} untrimmed videos of {test['classes']} classes, rendered with seed {test['seed']}, "
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
        *_table(
            ["steps", *range(1, len(curves["steps"]) + 1)],
            ["top-1", *map(_percent, curves["steps"])],
            ["calibration error", *map(_percent, curves["calibration_errors"])],
        ),
        *_table(["every k-th timestamp", *report["factors"]], ["top-1", *map(_percent, curves["factors"])]),
        *_table(
            ["knots in the action, with sound", *(_range(row["least"]) for row in curves["knots_inside"])],
            ["videos", *(row["videos"] for row in curves["knots_inside"])],
            [f"top-1 after {report['early_steps']} steps", *map(_percent, _column(curves, "early"))],
            ["top-1 after all steps", *map(_percent, _column(curves, "top1"))],
        ),
        "These three are of the same skimmer on cached float32 features.",
        "",
        "| attention (median over the videos) | looking | listening |",
        "|---|---|---|",
        "| inside the true stretches, as a multiple of their share of the duration | "
        f"{attention['look_ratio']:.2f} | {attention['listen_ratio']:.2f} |",
        "| moments chosen (peaks) that lie inside the true stretches | "
        f"{_percent(attention['look_hits'])} | {_percent(attention['listen_hits'])} |",
        "",
        f"Expected calibration error {_percent(report['calibration_error'])} (10 bins). "
        f"{report['seconds_a_video']:.2f} s a video (median).",
        "",
        "| class | right |",
        "|---|---|",
        *(f"| {name} | {_percent(share)} |" for name, share in report["by_class"].items()),
        "",
        "Made by:",
        "",
        *(f"    {command}" for command in report["commands"]),
        "",
    ]
    return "\n".join(lines)


def _table(head: Sequence[object], *rows: Sequence[object]) -> list[str]:
    lines = [f"| {' | '.join(map(str, row))} |" for row in (head, *rows)]
    return [lines[0], "|---" * len(head) + "|", *lines[1:], ""]


def _column(curves: dict[str, Any], name: str) -> list[float]:
    return [row[name] for row in curves["knots_inside"]]


def _range(least: int) -> str:
    return {0: "at most 1", 2: "2"}.get(least, f"{least} or more")


def _row(name: str, row: dict[str, float]) -> str:
    if row["videos"] == 0:
        return f"| {name} | - | - | 0 |"
    return (
        f"| {name} | {_percent(row['top1'])} | {_percent(row['low'])} to {_percent(row['high'])} "
        f"| {row['videos']:.0f} |"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"

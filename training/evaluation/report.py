"""Reports as Markdown: every number comes from the JSON beside it."""

from __future__ import annotations

from typing import Any

from training.tables.markdown import knots_table, percent, table


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
        *knots_table(curves["knots_inside"], report["early_steps"]),
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


def _row(name: str, row: dict[str, float]) -> str:
    if row["videos"] == 0:
        return f"| {name} | - | - | 0 |"
    return (
        f"| {name} | {percent(row['top1'])} | {percent(row['low'])} to {percent(row['high'])} "
        f"| {row['videos']:.0f} |"
    )

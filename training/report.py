"""Reports as Markdown: every number comes from the JSON beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def markdown(report: dict[str, Any]) -> str:
    """The end-to-end report as a page."""
    test, plan, attention = report["test"], report["plan"], report["attention"]
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
        *_curve("steps", range(1, len(report["curves"]["steps"]) + 1), report["curves"]["steps"]),
        *_curve("every k-th timestamp", report["factors"], report["curves"]["factors"]),
        "The two curves are of the same skimmer on cached float32 features.",
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


def _curve(name: str, places: Iterable[int], shares: Sequence[float]) -> list[str]:
    return [
        f"| {name} | {' | '.join(str(place) for place in places)} |",
        "|---" * (len(shares) + 1) + "|",
        f"| top-1 | {' | '.join(_percent(share) for share in shares)} |",
        "",
    ]


def _row(name: str, row: dict[str, float]) -> str:
    if row["videos"] == 0:
        return f"| {name} | - | - | 0 |"
    return (
        f"| {name} | {_percent(row['top1'])} | {_percent(row['low'])} to {_percent(row['high'])} "
        f"| {row['videos']:.0f} |"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"

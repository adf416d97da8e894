"""The comparison of sampling policies as a page and a picture; every number comes from the JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

Table = Mapping[str, Mapping[str, float]]


def markdown(report: Mapping[str, Any]) -> str:
    """The report as a page."""
    lines = [
        "# Ways to sample a video: accuracy and cost",
        "",
        f"The demo plan ({report['plan'][:12]}) through `Classifier.predict` on AV-Kinetic test videos that "
        f"no training used; {report['precisions']['exact']} where a row names no other precision. Points and "
        "agreement compare with the first row on the same videos. Frames and seconds are means a video; "
        "decoding is the time in which frames were decoded.",
        "",
    ]
    for name, table in report["sets"].items():
        lines += [f"## {name}", "", *_policies(table), *_deadlines(table)]
    lines += ["Made by:", "", "    python -m training.sampling --config training/configs/demo.toml", ""]
    return "\n".join(lines)


def _policies(table: Table) -> list[str]:
    rows = [(name, row) for name, row in table.items() if "budget_ms" not in row]
    return [
        "| way | top-1 | 95 % interval | points | agreement | frames used | decoded | decoding | total |",
        "|---|---|---|---|---|---|---|---|---|",
        *(
            f"{_accuracy(name, row)} {row['points']:+.1f} | {_percent(row['agreement'])} "
            f"| {row['image_knots']:.0f} | {row['frames_decoded']:.0f} "
            f"| {1000 * row['frames_s']:.0f} ms | {1000 * row['total_s']:.0f} ms |"
            for name, row in rows
        ),
        "",
        f"{next(iter(table.values()))['videos']} videos.",
        "",
    ]


def _deadlines(table: Table) -> list[str]:
    rows = [(name, row) for name, row in table.items() if "budget_ms" in row]
    if not rows:
        return []
    return [
        "| `budget_ms` | top-1 | 95 % interval | frames decoded | total | late by more than 20 % or 20 ms |",
        "|---|---|---|---|---|---|",
        *(
            f"{_accuracy(name, row)} {row['frames_decoded']:.0f} | {1000 * row['total_s']:.0f} ms "
            f"| {_percent(row['late'])} |"
            for name, row in rows
        ),
        "",
    ]


def _accuracy(name: str, row: Mapping[str, float]) -> str:
    return f"| {name} | {_percent(row['top1'])} | {_percent(row['low'])} to {_percent(row['high'])} |"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def draw_budgets(sets: Mapping[str, Table], reference: str, path: Path) -> None:
    """Accuracy against the deadline, one curve a set, over the reference without one."""
    curves = {name: [row for row in table.values() if "budget_ms" in row] for name, table in sets.items()}
    if not any(curves.values()):
        return
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for number, (name, rows) in enumerate(curves.items()):
        colour = f"C{number}"
        budgets = [row["budget_ms"] for row in rows]
        axes.plot(budgets, [100 * row["top1"] for row in rows], "o-", color=colour, label=name)
        low, high = ([100 * row[end] for row in rows] for end in ("low", "high"))
        axes.fill_between(budgets, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.axhline(
            100 * sets[name][reference]["top1"],
            color=colour,
            linestyle=":",
            label=f"{name}, {reference}, no deadline",
        )
    axes.set_xscale("log")
    axes.set_xticks(budgets, [f"{budget:g}" for budget in budgets])
    axes.set_xticks([], minor=True)
    axes.set(xlabel="budget_ms", ylabel="top-1, %")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})

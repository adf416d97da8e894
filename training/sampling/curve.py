"""The curve of the comparison of sampling policies: accuracy against the deadline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

Table = Mapping[str, Mapping[str, float]]


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

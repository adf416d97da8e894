"""What is evaluated, and where the tables go."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EvaluateConfig:
    """The end-to-end test.

    Attributes:
        set: Name of the rendered test set.
        report: Where the JSON and Markdown tables go, without suffix.
    """

    set: str = "test"
    report: str = "results/av-kinetic-demo"


@dataclass(frozen=True, slots=True)
class SamplingConfig:
    """The comparison of the ways to sample a video (``python -m training.sampling``).

    Attributes:
        sets: Names of the test sets.
        steps: Steps of the row that stops early.
        budgets_ms: Deadlines of the curve, in milliseconds a video.
        report: Where the JSON and Markdown tables go, without suffix.
        plot: The picture of the curve.
    """

    sets: tuple[str, ...] = ("test",)
    steps: int = 3
    budgets_ms: tuple[float, ...] = (10.0, 20.0, 40.0, 80.0, 160.0)
    report: str = "results/av-kinetic-sampling"
    plot: str = "docs/accuracy-budget.png"

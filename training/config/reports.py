"""What is evaluated, and where the tables go."""

from __future__ import annotations

from dataclasses import dataclass

from training.config.kinds import Count, Number, Positive


@dataclass(frozen=True, slots=True)
class EvaluateConfig:
    """The end-to-end test, and the paper's tables.

    Attributes:
        set: Name of the test set.
        data: What the pages call the data.
        report: Where the end-to-end test goes, without suffix: JSON and Markdown.
        tables: Where the paper's tables go, without suffix: JSON, Markdown and plots; none without it.
        found: The page, below the working directory, that says what was found where a result is not the
            expected one; the tables link to it.
        pictures: Which videos of the set are shown with the moments chosen.
    """

    set: str = "test"
    data: str = "the test set"
    report: str = "results/av-kinetic-demo"
    tables: str | None = None
    found: str | None = None
    pictures: tuple[Number, ...] = (0, 1, 2)


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
    steps: Count = 3
    budgets_ms: tuple[Positive, ...] = (10.0, 20.0, 40.0, 80.0, 160.0)
    report: str = "results/av-kinetic-sampling"
    plot: str = "docs/accuracy-budget.png"

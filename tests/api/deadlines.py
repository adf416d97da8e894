"""How punctual predictions with a budget are; for benchmarks, since tests look at no clock."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from l2l_engine import Classifier, Prediction
from l2l_engine.media import MediaFile


@dataclass(frozen=True, slots=True)
class Timed:
    """One prediction with a budget; seconds."""

    budget: float
    took: float
    prediction: Prediction

    @property
    def late(self) -> bool:
        """Whether it took more than 20 % or 20 ms longer, whichever is more."""
        return self.took > max(1.2 * self.budget, self.budget + 0.02)


def timed(
    classifier: Classifier, files: Iterable[MediaFile], budgets_ms: Iterable[float], **options: Any
) -> Iterator[Timed]:
    """Predict each file with its budget, one after the other."""
    for file, budget_ms in zip(files, budgets_ms, strict=False):
        begin = time.perf_counter()
        prediction = classifier.predict(file, budget_ms=budget_ms, **options)
        yield Timed(budget_ms / 1000, time.perf_counter() - begin, prediction)

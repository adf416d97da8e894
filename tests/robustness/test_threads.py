from __future__ import annotations

import gc
import os
import threading
from pathlib import Path

import pytest

from l2l_engine import Classifier
from l2l_engine.errors import MediaError, PredictionTimeoutError

from .mutate import SEEDS, base, mutated_media
from .plans import tiny_plan

ROUNDS = int(os.environ.get("L2L_STRESS_ROUNDS", "12"))
"""Predictions a thread; 12 take seconds, 2000 are the longer run."""


class CancelError(Exception):
    """What a caller's progress function raises to stop a prediction."""


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def cancel(stage: str, done: float) -> None:
    raise CancelError


def attempt(classifier: Classifier, number: int) -> str:
    """One prediction of a mix, and what became of it."""
    try:
        if number % 4 == 0:
            return classifier.predict(mutated_media(number)).label and "damaged"
        content = base(list(SEEDS)[number % len(SEEDS)])
        if number % 4 == 1:
            return classifier.predict(content, timeout_s=1e-6).label and "in no time"
        if number % 4 == 2:
            return classifier.predict(content, progress=cancel).label and "despite the cancel"
        return classifier.predict(content).label and "good"
    except (MediaError, PredictionTimeoutError, CancelError) as error:
        return type(error).__name__


@pytest.mark.timeout(900)
def test_good_bad_late_and_cancelled_at_once(tmp_path: Path) -> None:
    for name in SEEDS:
        base(name)
    outcomes: list[str] = []
    unexpected: list[BaseException] = []
    with Classifier(tiny_plan(tmp_path), threads=2) as classifier:

        def work(first: int, rounds: int) -> None:
            try:
                outcomes.extend([attempt(classifier, first + i) for i in range(rounds)])
            except BaseException as error:
                unexpected.append(error)

        def all_at_once(rounds: int) -> None:
            threads = [threading.Thread(target=work, args=(1000 * i, rounds)) for i in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            gc.collect()

        all_at_once(ROUNDS)  # pools, caches and the allocator's arenas fill
        before = resident_mb(), open_files(), threading.active_count()
        all_at_once(ROUNDS)
        after = resident_mb(), open_files(), threading.active_count()
    assert not unexpected
    assert {"good", "PredictionTimeoutError", "CancelError"} <= set(outcomes)
    errors = {"MediaError", "LimitError", "PredictionTimeoutError", "CancelError"}
    assert set(outcomes) <= {"good", "damaged"} | errors
    assert after[1:] == before[1:]
    # 10 MB a 1,000 predictions, and what allocators move about, which only a longer run makes small.
    assert after[0] - before[0] < 100 + 10 * 8 * ROUNDS / 1000

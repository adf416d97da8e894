"""Predictions with a budget: how many come late, and what a budget buys."""

from __future__ import annotations

import statistics
import time

import pytest

from benchmarks import engine
from benchmarks.conftest import THREADS, Bench
from benchmarks.media import files
from benchmarks.networks import PAPER, SMALL, plan_path
from l2l_engine import Classifier

SECTION, NAME = "deadlines", "100 predictions"
BUDGETS = (50, 100, 200, 400, 800)
FILES = ("120s-360p.mp4", "120s-360p.webm", "10min-720p.mp4", "1h-360p.mp4")


def test_deadlines(bench: Bench) -> None:
    if why := engine.lacks({"budget_ms": 100}):
        bench.not_run(SECTION, NAME, why)
        pytest.skip(why)
    paths = [files.file(name) for name in FILES] if bench.timed else [files.file("24s-90p.mp4")]
    late = 0
    took: dict[int, list[float]] = {ms: [] for ms in BUDGETS}
    knots: dict[int, list[int]] = {ms: [] for ms in BUDGETS}
    with Classifier(plan_path(PAPER if bench.timed else SMALL), threads=THREADS) as classifier:
        classifier.warmup()
        for number in range(100 if bench.timed else 5):
            budget = BUDGETS[number % len(BUDGETS)]
            path = paths[number // len(BUDGETS) % len(paths)]
            begin = time.perf_counter()
            answer = classifier.predict(path, budget_ms=budget)
            seconds = time.perf_counter() - begin
            assert answer.media is not None
            late += 1e3 * seconds > budget + max(0.2 * budget, 20)
            took[budget].append(seconds)
            knots[budget].append(answer.media.image_knots + answer.media.audio_knots)
    if bench.timed:
        case = bench.case(SECTION, NAME)
        case.samples = {f"{budget} ms": values for budget, values in took.items()}
        case.details["knots"] = {f"{budget} ms": statistics.median(knots[budget]) for budget in BUDGETS}
        case.require("late of 100", late, at_most=5)

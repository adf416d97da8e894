"""Memory and start-up, each in a fresh process."""

from __future__ import annotations

import statistics

from benchmarks import child
from benchmarks.conftest import Bench
from benchmarks.harness import OURS
from benchmarks.media import files
from benchmarks.networks import PAPER, SMALL, plan_path

LATER = "a later call"


def test_peak_memory(bench: Bench) -> None:
    names = ("10min-720p.mp4", "1h-360p.mp4") if bench.timed else ("8s-90p.mp4", "24s-90p.mp4")
    plan = plan_path(PAPER if bench.timed else SMALL)
    short, long = (child.ask("peak", plan, files.file(name)) for name in names)
    assert 0 < long["before_mb"] <= long["peak_mb"]
    case = bench.case("memory", "1 h 360p")
    case.details["megabytes"] = {
        "10 min 720p": round(short["peak_mb"]),
        "1 h 360p": round(long["peak_mb"]),
        "1 h 360p, before the prediction": round(long["before_mb"]),
    }
    case.require("MB at the peak", long["peak_mb"], at_most=600)
    case.require("1 h / 10 min", long["peak_mb"] / short["peak_mb"], at_most=1.1)


def test_cold_start(bench: Bench) -> None:
    file = files.file("120s-360p.mp4" if bench.timed else "8s-90p.mp4")
    plan = plan_path(PAPER if bench.timed else SMALL)
    runs = [child.ask("cold", plan, file) for _ in range(5 if bench.timed else 1)]
    assert all(run["total"] >= run["load"] + run["first"] for run in runs)
    case = bench.case("start", "import to first answer, 120 s 360p")
    case.samples = {OURS: [run["total"] for run in runs], LATER: [run["later"] for run in runs]}
    parts = ("import", "load", "first", "later")
    case.details["stages"] = {name: round(statistics.median(run[name] for run in runs), 4) for name in parts}
    case.require("seconds", case.median(), at_most=1.5)


def test_after_warmup(bench: Bench) -> None:
    file = files.file("120s-360p.mp4" if bench.timed else "8s-90p.mp4")
    plan = plan_path(PAPER if bench.timed else SMALL)
    runs = [child.ask("warm", plan, file) for _ in range(5 if bench.timed else 1)]
    case = bench.case("start", "first call after warmup()")
    case.samples = {OURS: [run["first"] for run in runs], LATER: [run["later"] for run in runs]}
    ratio = statistics.median(run["first"] / run["later"] for run in runs)
    case.require(f"first / {LATER}", ratio, at_most=1.2)

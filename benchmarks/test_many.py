"""Many videos at once: 32 of half a minute, against the sum of their floors and against one thread."""

from __future__ import annotations

from typing import Any

from benchmarks import engine, floor
from benchmarks.conftest import THREADS, Bench
from benchmarks.harness import OURS, Contestant, wall
from benchmarks.media import files
from benchmarks.networks import PAPER, SMALL, plan_path
from l2l_engine import Classifier

ONE, FLOOR = "one thread", "the sum of the floors"
OPTIONS: dict[str, Any] = {"sampling": "auto", "max_image_gap_s": 2.7}


def test_many(bench: Bench) -> None:
    plan = plan_path(PAPER if bench.timed else SMALL)
    paths = files.pieces("120s-360p.mp4", 4) if bench.timed else [files.file("8s-90p.mp4")] * 4
    with Classifier(plan, threads=THREADS) as both, Classifier(plan, threads=1) as one:
        both.warmup()
        one.warmup()
        encoders = floor.EncoderFloor(both.plan)
        knots = {path: engine.knots(both, path, **OPTIONS) for path in paths}
        least = {path: floor.FileFloor(path, knots[path]) for path in paths}

        def sum_of_floors() -> float:
            return sum(floor.measure(least[path], encoders, knots[path]).seconds(THREADS) for path in paths)

        def run(classifier: Classifier) -> None:
            answers = list(classifier.predict_many(paths, **OPTIONS))
            assert len(answers) == len(paths)

        contestants = {
            OURS: wall(lambda: run(both)),
            ONE: wall(lambda: run(one)),
            FLOOR: Contestant(sum_of_floors),
        }
        samples = bench.time("predict_many, 32 videos", contestants, 3)
    case = bench.case("many", "predict_many, 32 videos of 33 s")
    if bench.timed:
        case.samples = samples
        case.details["videos_per_second"] = round(len(paths) / case.median(), 2)
        case.within(FLOOR, 1.15)
        case.faster_than(ONE, 1.7)

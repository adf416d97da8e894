"""Published encoders beside the paper's: EfficientNet-Lite0 at 224 pixels and YAMNet, or ResNet-18 twice."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.conftest import THREADS, Bench
from benchmarks.harness import Contestant, wall
from benchmarks.media import files
from benchmarks.networks import PAPER, PUBLISHED, plan_path
from l2l_engine import Classifier
from l2l_engine.loading import Precision, load_encoders
from l2l_engine.plan import read_plan

SECTION = "published encoders"
NAMES = {"EfficientNet-Lite0 and YAMNet": PUBLISHED, "ResNet-18 twice": PAPER}
PRECISIONS = ("fp32", "int8")
BATCH = 8


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_a_pair(bench: Bench, precision: Precision) -> None:
    """One frame and one window, of a batch, on one thread."""
    case = bench.case(SECTION, f"a pair, {precision}, one thread")
    rng = np.random.default_rng(0)
    contestants: dict[str, Contestant] = {}
    for name, model in NAMES.items():
        encoders = load_encoders(read_plan(plan_path(model, PRECISIONS)), 1, precision=precision)
        assert encoders["image"].precision == precision
        frames = rng.integers(0, 256, (BATCH, *encoders["image"].input_shape), np.uint8)
        sounds = (0.2 * rng.standard_normal((BATCH, *encoders["audio"].input_shape))).astype(np.float32)

        def work(encoders=encoders, frames=frames, sounds=sounds) -> None:  # type: ignore[no-untyped-def]
            assert np.isfinite(encoders["image"].encode(frames)).all()
            assert np.isfinite(encoders["audio"].encode(sounds)).all()

        timed = wall(work)
        contestants[name] = Contestant(lambda timed=timed: timed.seconds() / BATCH)  # type: ignore[misc]
    case.samples = bench.time(case.name, contestants, 15, warmups=2)


@pytest.mark.parametrize("mode", ["auto", "keyframes", "listen"])
def test_a_file(bench: Bench, mode: str) -> None:
    path = files.file("120s-360p.mp4" if bench.timed else "8s-90p.mp4")
    case = bench.case(SECTION, f"{path.name}, {mode}, {THREADS} threads")
    contestants = {}
    for name, model in NAMES.items():
        classifier = Classifier(plan_path(model, PRECISIONS), threads=THREADS)
        classifier.warmup()
        contestants[name] = wall(lambda one=classifier: one.predict(path, sampling=mode))  # type: ignore[misc]
    case.samples = bench.time(case.name, contestants, 7)

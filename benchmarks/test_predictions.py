"""Whole predictions, from a path to a label, beside the peers and the floor."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import conversions, engine, floor
from benchmarks.conftest import THREADS, Bench
from benchmarks.harness import OURS, Case, Contestant, wall
from benchmarks.media import files
from benchmarks.networks import PAPER, SMALL, Networks, networks
from benchmarks.peers.clips import DenseClips
from benchmarks.peers.dense import DenseStudent
from benchmarks.peers.pipeline import TransformersPipeline
from benchmarks.peers.sparse import PlainSparse
from l2l_engine import Classifier, Prediction

SECTION = "predictions"
SPARSE, DENSE, CLIPS, PIPELINE = "plain sparse", "dense student", "dense clips", "Transformers pipeline"
FLOOR = "floor"


@dataclass(frozen=True, slots=True, eq=False)
class Mode:
    """A way to call ``predict``, and the targets of the row."""

    name: str
    options: dict[str, Any]
    faster: dict[str, float]
    over_floor: float | None = None


DENSITY = {"sampling": "auto", "max_image_gap_s": 2.7}
SHORT = (
    Mode("same density", DENSITY, {SPARSE: 2.5, DENSE: 3.5, CLIPS: 100}, 1.25),
    Mode("exact", {"sampling": "exact"}, {}),
    Mode("keyframes", {"sampling": "keyframes"}, {SPARSE: 15, DENSE: 22, CLIPS: 700}, 1.25),
    Mode("listen", {"sampling": "listen"}, {SPARSE: 7, DENSE: 10, CLIPS: 350}, 1.3),
)
WEBM = (Mode("same density", DENSITY, {}), Mode("keyframes", {"sampling": "keyframes"}, {}))
HD = (
    Mode("same density", DENSITY, {SPARSE: 6, DENSE: 16, CLIPS: 400}, 1.25),
    Mode("keyframes", {"sampling": "keyframes"}, {}),
)
LONG = Mode("max_knots=128", {"max_knots": 128}, {}, 1.4)


@pytest.fixture(scope="session")
def nets(timed: bool) -> Networks:
    return networks(PAPER if timed else SMALL)


@pytest.fixture(scope="session")
def classifier(nets: Networks) -> Classifier:
    classifier = Classifier(nets.plan.path, threads=THREADS)
    classifier.warmup()
    return classifier


@pytest.fixture(scope="session")
def encoders(nets: Networks) -> floor.EncoderFloor:
    return floor.EncoderFloor(nets.plan)


@pytest.mark.parametrize(
    ("name", "modes", "rounds"),
    [("120s-360p.mp4", SHORT, 7), ("120s-360p.webm", WEBM, 3), ("5min-720p.mp4", HD[:1], 3)],
)
def test_beside_peers(
    bench: Bench,
    nets: Networks,
    classifier: Classifier,
    encoders: floor.EncoderFloor,
    name: str,
    modes: tuple[Mode, ...],
    rounds: int,
) -> None:
    path = files.file(name if bench.timed else "8s-90p.mp4")
    sparse, dense = PlainSparse(nets), DenseStudent(nets)
    agree(classifier.predict(path, sampling="exact"), sparse(path).softmax(0).numpy())
    clips, pipeline = DenseClips(20 if bench.timed else 1), TransformersPipeline(small=not bench.timed)
    peers = {
        SPARSE: wall(lambda: sparse(path)),
        DENSE: wall(lambda: dense(path)),
        PIPELINE: wall(lambda: pipeline(path)),
        CLIPS: Contestant(lambda: clips.seconds(path), rounds=1),
    }
    race(bench, classifier, encoders, path, name, modes, peers, rounds)


def test_ten_minutes(
    bench: Bench, nets: Networks, classifier: Classifier, encoders: floor.EncoderFloor
) -> None:
    path = files.file("10min-720p.mp4" if bench.timed else "8s-90p.mp4")
    sparse, dense = PlainSparse(nets), DenseStudent(nets)
    clips = DenseClips(20 if bench.timed else 1)
    peers = {
        SPARSE: wall(lambda: sparse(path), rounds=2),
        DENSE: wall(lambda: dense(path), rounds=2),
        CLIPS: Contestant(lambda: clips.seconds(path), rounds=1),
    }
    race(bench, classifier, encoders, path, "10min-720p.mp4", HD, peers, 3)


def test_hours(bench: Bench, classifier: Classifier, encoders: floor.EncoderFloor) -> None:
    names = ("1h-360p.mp4", "3h-360p.mp4") if bench.timed else ("8s-90p.mp4", "24s-90p.mp4")
    if why := engine.lacks(LONG.options):
        for title in ("1 h 360p", "3 h 360p"):
            bench.not_run(SECTION, f"{title}, {LONG.name}", why)
        pytest.skip(why)
    paths = [files.file(name) for name in names]
    knots = [engine.knots(classifier, path, **LONG.options) for path in paths]
    contestants: dict[str, Contestant] = {}
    for path, wanted, title in zip(paths, knots, ("1 h", "3 h"), strict=True):
        contestants[f"{OURS}, {title}"] = wall(partial(classifier.predict, path, **LONG.options))
        contestants[f"{FLOOR}, {title}"] = floor_of(path, wanted, encoders)
    samples = bench.time("1 h and 3 h", contestants, 5)
    hour, three = (bench.case(SECTION, f"{title} 360p, {LONG.name}") for title in ("1 h", "3 h"))
    for case, title, path, wanted in zip((hour, three), ("1 h", "3 h"), paths, knots, strict=True):
        explain(case, classifier, path, LONG, wanted, encoders)
        if bench.timed:
            case.samples = {OURS: samples[f"{OURS}, {title}"], FLOOR: samples[f"{FLOOR}, {title}"]}
            case.within(FLOOR, LONG.over_floor if title == "1 h" else None)
    if bench.timed:
        three.require("3 h / 1 h", three.median() / hour.median(), at_most=1.3)


def race(
    bench: Bench,
    classifier: Classifier,
    encoders: floor.EncoderFloor,
    path: Path,
    title: str,
    modes: tuple[Mode, ...],
    peers: dict[str, Contestant],
    rounds: int,
) -> None:
    """Time all modes of one file and their peers in turn; each mode is a row."""
    contestants, knots = dict(peers), {}
    for mode in modes:
        if why := engine.lacks(mode.options):
            bench.not_run(SECTION, f"{title}, {mode.name}", why)
            continue
        knots[mode] = engine.knots(classifier, path, **mode.options)
        contestants[f"{OURS}, {mode.name}"] = wall(partial(classifier.predict, path, **mode.options))
        contestants[f"{FLOOR}, {mode.name}"] = floor_of(path, knots[mode], encoders)
    samples = bench.time(title, contestants, rounds)
    for mode, wanted in knots.items():
        case = bench.case(SECTION, f"{title}, {mode.name}")
        explain(case, classifier, path, mode, wanted, encoders)
        if not bench.timed:
            continue
        case.samples = {OURS: samples[f"{OURS}, {mode.name}"], FLOOR: samples[f"{FLOOR}, {mode.name}"]}
        case.samples |= {name: samples[name] for name in peers}
        for peer in peers:
            case.faster_than(peer, mode.faster.get(peer))
        case.within(FLOOR, mode.over_floor)


def floor_of(path: Path, knots: floor.Knots, encoders: floor.EncoderFloor) -> Contestant:
    """The floor as a contestant."""
    file = floor.FileFloor(path, knots)
    return Contestant(lambda: floor.measure(file, encoders, knots).seconds(THREADS))


def explain(
    case: Case,
    classifier: Classifier,
    path: Path,
    mode: Mode,
    knots: floor.Knots,
    encoders: floor.EncoderFloor,
) -> None:
    """Where the time goes: stages by the wall clock; CPU-seconds in all, of the floor, and beyond it."""
    file = floor.FileFloor(path, knots)
    least = floor.measure(file, encoders, knots)
    begin = time.process_time()
    answer = classifier.predict(path, **mode.options)
    spent = time.process_time() - begin
    assert answer.media is not None
    stages = answer.timings
    case.details |= {
        "stages": {name: round(getattr(stages, name), 4) for name in stages.__slots__},
        "cpu": {
            "in all": round(spent, 4),
            **{f"floor's {name}": round(getattr(least, name), 4) for name in least.__slots__},
            **conversions.cpu_seconds(path, knots, classifier.plan.document.media),
        },
        "image_knots": len(knots.image),
        "audio_knots": len(knots.audio),
        "frames_decoded": answer.media.frames_decoded,
        "floor_frames": file.decode_video().sent,
    }


def agree(ours: Prediction, theirs: np.ndarray) -> None:
    """The plain pipeline has the same weights, so its answer differs by rounding and resizing only."""
    assert math.isclose(float(theirs.sum()), 1.0, abs_tol=1e-3)
    assert int(theirs.argmax()) == int(ours.probabilities.argmax())
    assert np.abs(theirs - ours.probabilities).max() < 0.1

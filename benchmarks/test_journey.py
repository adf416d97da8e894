"""From a folder of clips to a plan: how long it takes where the encoders are frozen.

L2L_BENCH_CLIPS=24 tries it on fewer clips. YAMNet's weights are read where L2L_SHARED_DATA has them; without,
EfficientNet-Lite0 listens too, which costs more.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from benchmarks.conftest import Bench
from benchmarks.media import clips
from training.__main__ import STAGES
from training.journey.steps import Request, make_plan

SECTION = "from a folder to a plan"
MINUTES = 15
"""What 344 clips of 10 s at 720p may take on two idle cores; fewer, in proportion."""


def test_journey(bench: Bench, tmp_path: Path) -> None:
    whole = clips.Shape()
    count = int(os.environ.get("L2L_BENCH_CLIPS", whole.count))
    shape = clips.Shape(count) if bench.timed else clips.Shape(6, 2, 160, 90, classes=2, video_bits=60_000)
    shared = os.environ.get("L2L_SHARED_DATA")
    weights = Path(shared, "weights") if shared else None
    folder = clips.folder(shape)
    stages = {name: run for name, run in STAGES.items() if name != "clips"}
    begin = time.perf_counter()
    report = make_plan(Request(folder, tmp_path / "engine.plan", tmp_path / "work", weights=weights), stages)
    seconds = time.perf_counter() - begin
    assert report["chosen"]["model.tune"] == "none"
    assert report["footage"]["kept"] == shape.count
    case = bench.case(SECTION, f"{shape.count} clips of {shape.seconds} s at {shape.height}p")
    case.samples = {"ours": [seconds]}
    case.details["stages"] = report["seconds"]
    case.details["estimate"] = report["estimate"]
    case.details["encoders"] = f"{report['chosen']['model.image']}, {report['chosen']['model.audio']}"
    case.require("minutes", seconds / 60, at_most=MINUTES * shape.count / whole.count)

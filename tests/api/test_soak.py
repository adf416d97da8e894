"""Nothing is left behind: by threads in a muddle, or by plans that do not load."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from l2l_engine import Classifier, PlanError
from l2l_engine.plan import write_plan
from tests.api.graphs import audio_graph, image_graph
from tests.api.plans import DOCUMENT, random_skim
from tests.api.soak import resident_mb

SECONDS = float(os.environ.get("L2L_SOAK_S", "6"))
"""`make soak` makes this a minute."""


def test_eight_threads_in_a_muddle(plan_file: Path, video: Path, silent_video: bytes, tmp_path: Path) -> None:
    silent = tmp_path / "silent.mp4"
    silent.write_bytes(silent_video)
    command = [sys.executable, "-m", "tests.api.soak", *map(str, (plan_file, video, silent, SECONDS))]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    report = json.loads(done.stdout)
    print(json.dumps(report))
    assert report["unexpected"] == []
    assert {"no error", "PredictionTimeoutError", "Cancelled", "MediaNotFoundError"} <= report[
        "outcomes"
    ].keys()
    assert report["after"]["threads"] <= report["before"]["threads"]
    assert report["after"]["handles"] == report["before"]["handles"]
    # 10 MB a 1,000 predictions, and what an allocator may happen to keep at the moment of counting.
    beyond = [
        grown - 10 * calls / 1000 for grown, calls in zip(report["grown_mb"], report["calls"], strict=True)
    ]
    assert min(beyond) < 4


def grows_mb(action: Callable[[], None], times: int) -> float:
    for _ in range(times // 4):
        action()
    gc.collect()
    before = resident_mb()
    for _ in range(times):
        action()
    gc.collect()
    return resident_mb() - before


@pytest.mark.parametrize("how", ["damaged", "graph"])
def test_failing_plan_loads_keep_no_memory(tmp_path: Path, how: str) -> None:
    path = tmp_path / "bad.plan"
    graphs = {"image.fp32": image_graph(), "audio.fp32": audio_graph(), "image.int8": bytes(4 << 20)}
    if how == "graph":
        graphs["audio.fp32"] = b"no graph"
    write_plan(path, DOCUMENT, graphs=graphs, skim=random_skim())
    if how == "damaged":
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)

    def fail() -> None:
        with pytest.raises(PlanError):
            Classifier(path)

    # 50 loads of more than 4 MB each: whatever they kept would show.
    assert grows_mb(fail, 50) < 20


def test_the_measure_sees_a_leak() -> None:
    kept: list[np.ndarray] = []
    assert grows_mb(lambda: kept.append(np.ones(1 << 17)), 100) > 90

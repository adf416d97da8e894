"""The examples of selections and of features do what they say."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from l2l_engine import Features
from tests.docs.pages import ROOT

EXAMPLES = ROOT / "examples"


def features(image: np.ndarray | None, audio: np.ndarray | None) -> Features:
    times = [None if bank is None else np.arange(len(bank)) * 2.0 for bank in (image, audio)]
    return Features(image, audio, *times, np.arange(10) * 0.5, "pyav")


def search() -> Any:
    spec = importlib.util.spec_from_file_location("search", EXAMPLES / "search.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["search"] = module  # a dataclass asks for its module
    spec.loader.exec_module(module)
    return module


def test_a_search_finds_the_moment_that_is_the_same() -> None:
    rng = np.random.default_rng(3)
    banks = [rng.standard_normal((6, 8)).astype(np.float32) for _ in range(5)]
    banks[2][4], banks[3][4] = banks[0][1], banks[1][1]  # second 8 of "other" is second 2 of "one"
    files = {
        "one": features(banks[0], banks[1]),
        "other": features(banks[2], banks[3]),
        "silent": features(banks[4], None),
    }
    (likeness, path, second), *rest = search().search(files, "one", 2.2, 3)
    assert (path, second) == ("other", 8.0)
    assert likeness == pytest.approx(1.0, abs=1e-5)
    assert all(value < 0.9 for value, _, _ in rest)
    assert [path for _, path, _ in search().search(files, "one", None, 5)] != []


@pytest.mark.nightly
def test_a_selection_goes_into_a_video_language_pipeline() -> None:
    pytest.importorskip("transformers")
    example, demo = EXAMPLES / "vision_language.py", ROOT / "demo"
    command = [sys.executable, str(example), str(demo / "demo.plan"), str(demo / "box-bouncing.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    *selected, said = done.stdout.splitlines()
    assert sum("of the attention" in line for line in selected) == 4
    assert len(said.split()) <= 8

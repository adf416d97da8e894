"""The figures on the front page are those of the results files."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.docs.pages import ROOT, rows

README = rows(ROOT / "README.md")
MEASURED = {
    "l2l_engine, key frames alone": ("keyframes", "ours"),
    "l2l_engine, at the paper's density": ("same density", "ours"),
    "the same pipeline written plainly in PyTorch": ("same density", "plain sparse"),
    "the pipeline for video of Transformers": ("same density", "Transformers pipeline"),
    "the same networks at every timestamp": ("same density", "dense student"),
    "a video network on every clip": ("same density", "dense clips"),
}
JUDGED = {"AV-Kinetic": "av-kinetic-demo", "AV-Digits": "av-digits-end-to-end"}


def row(start: str) -> list[str]:
    (found,) = (cells for name, cells in README.items() if name.startswith(start))
    return found


@pytest.mark.parametrize("start", MEASURED)
def test_seconds(start: str) -> None:
    sections = json.loads((ROOT / "benchmarks/results/cpu-amd-epyc.json").read_text())["sections"]
    sampling, whose = MEASURED[start]
    seconds = sections["predictions"][f"120s-360p.mp4, {sampling}"]["seconds"][whose]["median"]
    assert row(start) == [f"{seconds:.3g}"]


@pytest.mark.parametrize("start", JUDGED)
def test_accuracy(start: str) -> None:
    result: dict[str, Any] = json.loads((ROOT / f"results/{JUDGED[start]}.json").read_text())
    scores = [f"{100 * result['methods'][name]['top1']:.1f} %" for name in ("ours", "DENSE", "UNIFORM (10)")]
    assert row(start) == [str(result["test"]["videos"]), *scores]
    silent = result["silent"]["videos"]
    assert (f"{silent} of the videos are silent" in "".join(n for n in README if n.startswith(start))) == (
        silent > 0
    )

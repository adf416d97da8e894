"""A complete plan with tiny encoders, for a Classifier in a child process."""

from __future__ import annotations

from pathlib import Path

from l2l_engine.plan import write_plan
from tests.api.graphs import audio_graph, image_graph
from tests.api.plans import DOCUMENT, random_skim


def tiny_plan(folder: Path) -> Path:
    path = folder / "tiny.plan"
    graphs = {"image.fp32": image_graph(), "audio.fp32": audio_graph()}
    write_plan(path, DOCUMENT, graphs=graphs, skim=random_skim())
    return path

"""Writes the files beside it, by the l2l_engine of commit 4d1e144, whose plans are of version 1.

    python -m tests.api.version1.make FOLDER    # with that commit's l2l_engine installed, in its checkout

It takes nothing from the tests but the tiny graphs and the small video, which are the same since.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from l2l_engine.plan import PlanDocument, RecogniserSettings, SkimSettings, skim_shapes, write_plan
from l2l_engine.plan.shapes import Dimensions
from tests.api.graphs import audio_graph, image_graph, recogniser_graph
from tests.api.videos import write_video

CLASSES = ("ball bouncing", "box sliding", "star shaking")
DOCUMENTS = {
    "paired": PlanDocument(
        classes=CLASSES,
        skim=SkimSettings(preset="paired", steps=4),
        calibration=(1.5, 1.25),
        recogniser=RecogniserSettings(),
        provenance={"data": "random weights", "more": {"of": ["it", 1, None]}},
    ),
    "released": PlanDocument(
        classes=CLASSES,
        skim=SkimSettings(preset="released", steps=3, key_activation="relu", exclude_previous_argmax=True),
        output="sigmoid",
        modalities=("image",),
    ),
    "clip": PlanDocument(classes=CLASSES, skim=SkimSettings(preset="clip", steps=1)),
}


def main(folder: Path) -> None:
    """Write plans, and what the command says by them of a video."""
    os.chdir(folder)
    write_video(Path("event.mp4"))
    sizes = Dimensions(feature=12, fusion=20, key=8, hidden=16, classes=3)
    weight = np.random.default_rng(3).standard_normal((3, 3))
    graphs = {"image.fp32": image_graph(), "audio.fp32": audio_graph()}
    for name, document in DOCUMENTS.items():
        rng = np.random.default_rng(len(name))
        skim = {
            tensor: (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)
            for tensor, shape in skim_shapes(document, sizes).items()
        }
        parts = {part: graphs[f"{part}.fp32"] for part in document.modalities}
        if document.recogniser is not None:
            parts["recogniser"] = recogniser_graph(weight)
        named = {f"{part}.fp32": graph for part, graph in parts.items()}
        write_plan(f"{name}.plan", document, graphs=named, skim=skim)
    command = [sys.executable, "-m", "l2l_engine.cli", "predict", "event.mp4", "--precision", "fp32"]
    for name, kind in (("paired", "jsonl"), ("released", "jsonl"), ("clip", "jsonl"), ("clip", "csv")):
        subprocess.run([*command, "--plan", f"{name}.plan", "--resume", f"{name}.{kind}"], check=True)
    Path("event.mp4").unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())

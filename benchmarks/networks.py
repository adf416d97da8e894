"""The networks that are timed, once as a plan for the engine and once as PyTorch modules for its peers.

Their weights are random and the same on both sides, so that the answers can be compared.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.kernels.plain_torch import PlainSkimmer
from benchmarks.media import FOLDER
from l2l_engine.plan import Plan, read_plan
from training.config import ModelConfig
from training.export.graphs import example_inputs
from training.export.untrained import build_encoders, export_untrained, settle
from training.models import AudioEncoder, ImageEncoder, media_settings

CLASSES = 200
PAPER = ModelConfig()
PUBLISHED = ModelConfig(image="efficientnet_lite0", audio="yamnet")
"""The encoders that come with weights: sizes and speed do not depend on what the weights are."""
SMALL = ModelConfig(image_width=0.125, audio_width=0.125, features=64, fusion=64, keys=32, hidden=64)


@dataclass(frozen=True, slots=True)
class Networks:
    """One set of weights, as a plan and as modules in evaluation mode."""

    plan: Plan
    image: ImageEncoder
    audio: AudioEncoder
    skimmer: PlainSkimmer


@functools.cache
def networks(model: ModelConfig, precisions: tuple[str, ...] = ("fp32",)) -> Networks:
    """Make the plan if it is missing, with graphs of these precisions, and the modules with its weights."""
    plan = read_plan(plan_path(model, precisions))
    torch.manual_seed(0)
    modules: list[nn.Module] = []
    encoders = build_encoders("paper", model)
    for part, inputs in zip(("image", "audio"), example_inputs(media_settings(model), count=8), strict=True):
        settle(encoders[part], inputs)
        modules.append(encoders[part].eval())
    image, audio = modules
    assert isinstance(image, ImageEncoder)
    assert isinstance(audio, AudioEncoder)
    weights = {name: np.array(value, np.float32) for name, value in plan.skim.items()}
    return Networks(plan, image, audio, PlainSkimmer(weights))


def plan_path(model: ModelConfig, precisions: tuple[str, ...] = ("fp32",)) -> Path:
    """Return the plan of these sizes and precisions."""
    sizes = {PAPER: "paper", PUBLISHED: "published"}.get(model, "small")
    names = ["plan", sizes, *(name for name in precisions if name != "fp32")]
    path = FOLDER / f"{'-'.join(names)}.plan"
    if not path.exists():
        export_untrained(path, classes=CLASSES, model=model, precisions=precisions)
    return path

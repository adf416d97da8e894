"""Plans of random weights: of the paper's sizes by default, to time the engine without training anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from l2l_engine.plan import (
    Dimensions,
    Plan,
    PlanDocument,
    SkimSettings,
    skim_shapes,
    write_plan,
)
from training.config import ModelConfig, to_plain
from training.export.graphs import example_inputs, fp32_graphs
from training.export.precisions import more_precisions, noise
from training.export.versions import versions
from training.models import AudioEncoder, ImageEncoder, ReleasedAudioEncoder, media_settings
from training.models.backbones import RESNET

PRESETS = {
    "paper": SkimSettings(preset="paper"),
    "paired": SkimSettings(preset="paired"),
    "released": SkimSettings(preset="released", key_activation="relu", exclude_previous_argmax=True),
}


def export_untrained(
    path: Path,
    *,
    preset: str = "paper",
    classes: int = 200,
    model: ModelConfig | None = None,
    seed: int = 0,
    precisions: Sequence[str] = ("fp32",),
) -> Plan:
    """Write a plan of random weights; the same arguments and threads give the same weights.

    Args:
        path: Where the plan goes.
        preset: "paper", "paired" or "released".
        classes: C.
        model: Sizes; the paper's by default.
        seed: The seed of the weights.
        precisions: What the graphs compute in, beside fp32: "fp16", "int8".
    """
    model = ModelConfig() if model is None else model
    torch.manual_seed(seed)
    media = media_settings(model)
    inputs = dict(zip(("image", "audio"), example_inputs(media, count=8), strict=True))
    encoders = build_encoders(preset, model)
    for part, encoder in encoders.items():
        settle(encoder, inputs[part])
    graphs, _ = fp32_graphs(encoders, media)
    more, records = more_precisions(encoders, graphs, precisions, noise(media))
    document = PlanDocument(
        classes=tuple(f"class-{number:04d}" for number in range(1, classes + 1)),
        media=media,
        skim=PRESETS[preset],
        provenance={
            "data": "none: random weights, for timing",
            "settings": {"model": to_plain(model), "seed": seed},
            "precisions": records,
            "versions": versions(),
        },
    )
    sizes = Dimensions(
        feature=encoders["image"].features,
        fusion=model.fusion,
        key=model.keys,
        hidden=model.hidden,
        classes=classes,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_plan(path, document, graphs=graphs | more, skim=random_skim(document, sizes, seed))


def build_encoders(
    preset: str, model: ModelConfig
) -> dict[str, ImageEncoder | AudioEncoder | ReleasedAudioEncoder]:
    """Build encoders of the preset's form; in ``released`` no layer brings them to another size."""
    if preset == "released":
        if {model.image, model.audio} != {RESNET} or model.image_width != model.audio_width:
            raise ValueError(
                f"preset released has {RESNET} alone, with model.image_width = model.audio_width"
            )
        return {"image": ImageEncoder(model.image_width), "audio": ReleasedAudioEncoder(model.audio_width)}
    audio = AudioEncoder(
        model.audio_width, model.features, stem_stride=model.audio_stem_stride, name=model.audio
    )
    image = ImageEncoder(model.image_width, model.features, name=model.image, side=model.image_side)
    return {"image": image, "audio": audio}


@torch.no_grad()
def settle(encoder: nn.Module, inputs: Tensor) -> None:
    """Give batch norms scales and statistics as training would, so that features have a sane size."""
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.0)
        nn.init.normal_(norm.bias, std=0.1)
        norm.momentum = None
        norm.reset_running_stats()
    encoder.train()
    encoder(inputs)
    encoder.eval()


def random_skim(document: PlanDocument, sizes: Dimensions, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Draw skimming tensors that keep the size of what they are given.

    Queries and classes are told apart more strongly than that: attention has peaks, and logits spread.
    """
    rng = np.random.default_rng(seed)
    weights: dict[str, NDArray[np.float32]] = {}
    for name, shape in skim_shapes(document, sizes).items():
        scale = 1 / np.sqrt(shape[1]) if len(shape) == 2 else 0.1
        if name.startswith(("query", "classifier")) and len(shape) == 2:
            scale *= 4
        weights[name] = (scale * rng.standard_normal(shape)).astype(np.float32)
    return weights

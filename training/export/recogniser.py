"""The recogniser as graphs of a plan, checked against PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from l2l_engine.loading import load_encoders
from l2l_engine.plan import Plan, RecogniserSettings
from training.clips.augment import crop_clips, crop_images
from training.clips.recogniser import Recogniser, load_recogniser, recogniser_pairs
from training.config import Config
from training.errors import InputError
from training.export.graphs import compare, to_onnx
from training.export.precisions import INPUT_NAMES, Calibration, more_precisions

PART = "recogniser"
TOLERANCE = 1e-3
"""Largest difference between the plan's logits in float32 and PyTorch's, as a share of the largest."""

MOMENTS = {"frame": 128, "clip": 16}
"""Training moments that int8 graphs are calibrated on."""


@dataclass(frozen=True, slots=True)
class RecogniserExport:
    """What a plan holds of a recogniser.

    Attributes:
        recogniser: As it was trained.
        graphs: ONNX bytes by "recogniser.<precision>".
        inputs: Real moments, for checks.
        record: For the plan's provenance.
    """

    recogniser: Recogniser
    graphs: Mapping[str, bytes]
    inputs: Tensor
    record: Mapping[str, Any]

    @property
    def settings(self) -> RecogniserSettings:
        """What the plan's document says."""
        return self.recogniser.settings


def export_recogniser(config: Config, classes: tuple[str, ...]) -> RecogniserExport | None:
    """Return the graphs of the trained recogniser; None where none is configured.

    Raises:
        InputError: If it was trained on other classes.
        RuntimeError: If a graph computes something else than PyTorch does.
    """
    recogniser = load_recogniser(config)
    if recogniser is None:
        return None
    if recogniser.classes != classes:
        raise InputError("the recogniser was trained on other classes than the student")
    inputs = _moments(config, recogniser.settings)
    graph = to_onnx(recogniser.network, inputs[:2], INPUT_NAMES[PART])
    difference = compare(recogniser.network, graph, inputs[:3])
    graphs = {f"{PART}.fp32": graph}
    calibration = Calibration({PART: inputs}, "training moments")
    more, records = more_precisions({PART: recogniser.network}, graphs, config.precisions, calibration)
    record = {"openvino_difference": difference, "precisions": records}
    return RecogniserExport(recogniser, graphs | more, inputs, record)


@torch.inference_mode()
def check_plan(plan: Plan, export: RecogniserExport) -> float:
    """Return how far the plan's logits are from PyTorch's, as a share of the largest.

    Raises:
        RuntimeError: If that is too far.
    """
    encoder = load_encoders(plan, torch.get_num_threads(), precision="fp32")[PART]
    inputs = export.inputs[:4]
    expected = export.recogniser.network(inputs).numpy()
    difference = float(np.abs(encoder.encode(inputs.numpy()) - expected).max() / np.abs(expected).max())
    if not difference <= TOLERANCE:
        raise RuntimeError(f"the plan's recogniser differs from PyTorch by {difference:.2g}")
    return difference


def _moments(config: Config, settings: RecogniserSettings) -> Tensor:
    """Return what the recogniser learned from, evenly from all of it."""
    pairs = recogniser_pairs(config).train
    rows = np.unique(np.linspace(0, len(pairs) - 1, MOMENTS[settings.kind]).astype(int))
    if settings.kind == "clip" and pairs.clips is not None:
        return crop_clips(torch.from_numpy(pairs.clips[rows]), settings.crop).contiguous()
    return crop_images(torch.from_numpy(pairs.images[rows]), settings.crop).contiguous()

"""Writes the plan of what was chosen behind frozen trunks, with the classes that are never an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from l2l_engine.plan import Plan, PlanDocument, SamplingSettings, SkimSettings, write_plan
from training.config import Config, to_plain
from training.export.graphs import fp32_graphs
from training.export.versions import versions
from training.frozen.choose import Choice
from training.frozen.encoders import starting_trunks
from training.frozen.heads import Block
from training.frozen.plans import Projection, write_choice_plan
from training.models.evidence import EvidenceNetwork
from training.models.inputs import media_settings


def write_averaging(config: Config, choice: Choice, background: tuple[str, ...]) -> Plan:
    """Write the plan of an averaging head."""
    plan = write_choice_plan(config, choice)
    if not background:
        return plan
    document = replace(plan.document, background=background)
    return write_plan(plan.path, document, graphs=plan.graphs, skim=plan.skim)


def write_evidence(
    config: Config,
    head: EvidenceNetwork,
    classes: tuple[str, ...],
    *,
    factor: int,
    temperature: float,
    unsure: float | None,
    provenance: Mapping[str, Any],
) -> Plan:
    """Write the plan of a head that adds up evidence over time.

    Raises:
        RuntimeError: If a graph computes something else than PyTorch does.
    """
    media, trunks, encoders = media_settings(config.model, config.skim.hop), starting_trunks(config), {}
    nothing = torch.zeros(len(classes), dtype=torch.float64)
    for name, weight in head.weights.items():
        encoder = trunks[name].encoder
        encoder.project = Projection((Block("plain", weight.detach().double(), nothing),))
        encoder.features = len(classes)
        encoders[name] = encoder.eval()
    graphs, differences = fp32_graphs(encoders, media)
    gap, steps = factor * media.hop, 2
    document = PlanDocument(
        classes=classes,
        media=media,
        sampling=SamplingSettings(factor=factor, max_image_gap_s=gap, max_audio_gap_s=gap),
        skim=SkimSettings(preset="evidence", steps=steps),
        output=config.skim.output,
        modalities=tuple(encoders),
        calibration=(temperature,) * steps,
        unsure=unsure,
        provenance={
            **provenance,
            "settings": to_plain(config),
            "openvino_difference": differences,
            "versions": versions(),
        },
    )
    path = Path(config.plan)
    path.parent.mkdir(parents=True, exist_ok=True)
    skim = {name: tensor.float().contiguous().numpy() for name, tensor in head.tensors().items()}
    return write_plan(path, document, graphs=graphs, skim=skim)

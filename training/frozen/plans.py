"""Writes the plan of a chosen head, and keeps a choice on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import Tensor, nn

from l2l_engine.loading import load_encoders, load_skimmer
from l2l_engine.plan import MediaSettings, Plan, PlanDocument, SamplingSettings, SkimSettings, write_plan
from training.config import Config, to_plain
from training.errors import InputError
from training.export.graphs import fp32_graphs
from training.export.inputs import calibration_inputs
from training.export.precisions import more_precisions, noise
from training.export.versions import versions
from training.frozen.choose import Choice
from training.frozen.encoders import starting_trunks
from training.frozen.heads import Block, ClipHead
from training.frozen.pooling import TRANSFORMS
from training.models.encoder import FeatureEncoder
from training.models.inputs import media_settings
from training.runs.files import write_atomically, write_json
from training.videos.sets import describe_set

FOLDER = "choice"

TOLERANCE = 1e-3
"""Largest difference between a plan's logits and the head's, as a share of the largest."""


class Projection(nn.Module):
    """From an embedding to a feature, as a head's blocks have it; part of the encoder's graph."""

    def __init__(self, blocks: tuple[Block, ...]) -> None:
        super().__init__()
        self.transforms = tuple(block.transform for block in blocks)
        self.layers = nn.ModuleList()
        for block in blocks:
            layer = nn.Linear(block.weight.shape[1], block.weight.shape[0])
            layer.load_state_dict({"weight": block.weight.float(), "bias": block.bias.float()})
            self.layers.append(layer)

    def forward(self, embedding: Tensor) -> Tensor:
        """Return features [B, D]."""
        pairs = zip(self.transforms, self.layers, strict=True)
        return torch.cat([layer(TRANSFORMS[transform](embedding)) for transform, layer in pairs], dim=-1)


def encoders_of(config: Config, head: ClipHead) -> dict[str, FeatureEncoder]:
    """Return the run's trunks with a head's projections behind them, by modality, in evaluation mode."""
    trunks, encoders = starting_trunks(config), {}
    for name, blocks in head.projections.items():
        encoder = trunks[name].encoder
        encoder.project, encoder.features = Projection(blocks), head.size
        encoders[name] = encoder.eval()
    return encoders


def write_choice_plan(config: Config, choice: Choice, path: Path | None = None) -> Plan:
    """Write the plan of a head that averages, and compare it with what PyTorch says.

    Args:
        config: The run.
        choice: Of preset "clip".
        path: Where the plan goes; ``config.plan`` by default.

    Raises:
        ValueError: If the head skims.
        RuntimeError: If the plan computes something else than PyTorch does.
    """
    path = Path(config.plan) if path is None else path
    return _write_plan(config, choice.record(), choice.head, path)


def write_kept_plan(config: Config) -> Path:
    """Write the plan of the head that ``save_choice`` kept; see :func:`write_choice_plan`."""
    torch.set_num_threads(config.threads)
    plan = _write_plan(config, read_choice(config), read_head(config), Path(config.plan))
    found = {name: plan.document.provenance[name] for name in ("openvino_difference", "logits_difference")}
    size = plan.path.stat().st_size
    write_json(config.folder("export", "metrics.json"), {"plan": plan.sha256, "bytes": size, **found})
    print(f"{plan.path}: {size} bytes, PyTorch against the plan {found}", flush=True)
    return plan.path


def _write_plan(config: Config, record: Mapping[str, Any], head: ClipHead, path: Path) -> Plan:
    if record["preset"] != "clip":
        raise ValueError(f"{record['name']} skims: export writes its plan once it is trained")
    media, encoders = media_settings(config.model, config.skim.hop), encoders_of(config, head)
    graphs, differences = fp32_graphs(encoders, media)
    calibration = calibration_inputs(config, media) if set(config.precisions) - {"fp32"} else noise(media)
    more, records = more_precisions(encoders, graphs, config.precisions, calibration)
    gap = record["factor"] * media.hop
    document = PlanDocument(
        classes=tuple(record["classes"]),
        media=media,
        sampling=SamplingSettings(record["factor"], max_image_gap_s=gap, max_audio_gap_s=gap),
        skim=SkimSettings(preset="clip", steps=1),
        output=config.skim.output,
        modalities=head.streams,
        calibration=(record["temperature"],),
        unsure=record["unsure"]["confidence"],
        provenance={
            "data": {name: describe_set(config, name) for name in config.student.train},
            "settings": to_plain(config),
            "choice": dict(record),
            "openvino_difference": differences,
            "precisions": records,
            "versions": versions(),
        },
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    plan = write_plan(path, document, graphs=graphs | more, skim=plan_tensors(head))
    said = {**document.provenance, "logits_difference": compare_plan(plan, head, encoders, media)}
    return write_plan(path, replace(document, provenance=said), graphs=plan.graphs, skim=plan.skim)


def plan_tensors(head: ClipHead) -> dict[str, NDArray[np.float32]]:
    """Return what a plan holds of a head beside its projections."""
    layers = {"fusion.0": head.hidden, "fusion.1": head.output, "classifier": head.classifier}
    tensors = {}
    for name, (weight, bias) in layers.items():
        tensors[f"{name}.weight"] = weight.float().contiguous().numpy()
        tensors[f"{name}.bias"] = bias.float().contiguous().numpy()
    return tensors


@torch.inference_mode()
def compare_plan(
    plan: Plan, head: ClipHead, encoders: Mapping[str, FeatureEncoder], media: MediaSettings, count: int = 6
) -> float:
    """Return how far a plan's logits of one video of noise are from the head's, as a share of the largest.

    Raises:
        RuntimeError: If that is too far.
    """
    inputs = noise(media, count).inputs
    rows = {name: encoder.embed(inputs[name]).double() for name, encoder in encoders.items()}
    expected = head.averaged(rows).numpy()
    run = load_encoders(plan, torch.get_num_threads(), precision="fp32")
    stamps = media.hop * np.arange(count, dtype=np.float64)[None]
    banks = {name: run[name].encode(inputs[name].numpy())[None] for name in encoders}
    times = dict.fromkeys(banks, stamps)
    found = load_skimmer(plan, torch.get_num_threads()).run(
        banks.get("image"),
        banks.get("audio"),
        times.get("image"),
        times.get("audio"),
        stamps,
        1,
        modality="both" if len(banks) > 1 else "image" if "image" in banks else "audio",
    )
    difference = float(np.abs(found.logits[0] - expected).max() / np.abs(expected).max())
    if not difference <= TOLERANCE:
        raise RuntimeError(f"the plan's logits differ from PyTorch's by {difference:.2g}")
    return difference


def save_choice(config: Config, choice: Choice) -> None:
    """Keep a choice in the run's folder, the head's tensors beside what was tried."""
    write_json(config.folder(FOLDER, "choice.json"), choice.record() | {"layout": _layout(choice.head)})
    tensors = {"held_out": choice.held_out, **_tensors(choice.head)}
    content = save({name: tensor.contiguous() for name, tensor in tensors.items()})
    write_atomically(config.folder(FOLDER, "head.safetensors"), lambda file: file.write(content))


def read_choice(config: Config) -> dict[str, Any]:
    """Return what was tried and chosen, as JSON values.

    Raises:
        InputError: If nothing was chosen yet.
    """
    path = config.folder(FOLDER, "choice.json")
    try:
        plain: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file yet; `python -m training finetune` makes it") from error
    return plain


def read_head(config: Config) -> ClipHead:
    """Return the chosen head."""
    layout, tensors = read_choice(config)["layout"], load_file(config.folder(FOLDER, "head.safetensors"))
    projections = {
        name: tuple(
            Block(transform, tensors[f"{name}.{i}.weight"], tensors[f"{name}.{i}.bias"])
            for i, transform in enumerate(transforms)
        )
        for name, transforms in layout.items()
    }
    layers = [(tensors[f"{n}.weight"], tensors[f"{n}.bias"]) for n in ("hidden", "output", "classifier")]
    return ClipHead(projections, *layers)


def _layout(head: ClipHead) -> dict[str, list[str]]:
    return {name: [block.transform for block in blocks] for name, blocks in head.projections.items()}


def _tensors(head: ClipHead) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, blocks in head.projections.items():
        for number, block in enumerate(blocks):
            found |= {f"{name}.{number}.weight": block.weight, f"{name}.{number}.bias": block.bias}
    for name in ("hidden", "output", "classifier"):
        weight, bias = getattr(head, name)
        found |= {f"{name}.weight": weight, f"{name}.bias": bias}
    return found

"""Exports what was trained: graphs, the skimmer's weights, calibration, provenance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from l2l_engine.plan import MediaSettings, PlanDocument, SamplingSettings, SkimSettings, write_plan
from training.config import Config, to_plain
from training.export.graphs import compare, example_inputs, to_onnx
from training.export.versions import versions
from training.finetune import load_student, student_path
from training.models import SkimmingNetwork
from training.runs import write_json
from training.skim import HOP, load_skimmer, load_tracks, skim_tracks, skimmer_path


def export_plan(config: Config) -> Path:
    """Export the trained student and skimmer.

    Returns:
        The plan's path.

    Raises:
        RuntimeError: If a graph computes something else than PyTorch does.
    """
    torch.set_num_threads(config.threads)
    student, classes = load_student(config)
    skimmer = load_skimmer(config, len(classes))
    media = MediaSettings()
    images, samples = example_inputs(media, count=3)
    graphs = {
        "image.fp32": to_onnx(student.image, images, "images"),
        "audio.fp32": to_onnx(student.audio, samples, "samples"),
    }
    differences = {
        "image": compare(student.image, graphs["image.fp32"], images),
        "audio": compare(student.audio, graphs["audio.fp32"], samples),
    }
    tracks = load_tracks(config, config.skim.validation, classes)
    skimmed = skim_tracks(skimmer, tracks, config.skim.steps, config.factor)
    temperatures = [
        fit_temperature(skimmed.logits[:, step], skimmed.labels) for step in range(config.skim.steps)
    ]
    document = PlanDocument(
        classes=classes,
        media=media,
        sampling=SamplingSettings(
            factor=config.factor, max_image_gap_s=config.factor * HOP, max_audio_gap_s=config.factor * HOP
        ),
        skim=SkimSettings(steps=config.skim.steps),
        calibration=tuple(temperatures),
        provenance=provenance(config, differences),
    )
    path = Path(config.plan)
    path.parent.mkdir(parents=True, exist_ok=True)
    plan = write_plan(path, document, graphs=graphs, skim=skim_tensors(skimmer))
    report = {"plan": plan.sha256, "bytes": path.stat().st_size, "differences": differences}
    write_json(config.folder("export", "metrics.json"), report)
    print(f"{path}: {report['bytes']} bytes, PyTorch against OpenVINO {differences}", flush=True)
    return path


def skim_tensors(skimmer: SkimmingNetwork) -> dict[str, NDArray[np.float32]]:
    """The skimmer's weights under the plan's names; PyTorch's two LSTM biases become one."""
    weights = {name: value.detach().numpy() for name, value in skimmer.state_dict().items()}
    weights["lstm.bias"] = weights.pop("lstm.bias_ih") + weights.pop("lstm.bias_hh")
    return weights


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature that minimises the cross-entropy, between 0.05 and 20, to three digits."""
    temperatures = torch.logspace(np.log10(0.05), np.log10(20), 400)
    losses = torch.stack([functional.cross_entropy(logits / t, labels) for t in temperatures])
    return float(f"{float(temperatures[losses.argmin()]):.3g}")


def provenance(config: Config, differences: dict[str, float]) -> dict[str, Any]:
    """What the plan was made of: settings, metrics of every stage, versions of the tools."""
    metrics = {
        stage: json.loads(path.with_name("metrics.json").read_text(encoding="utf-8"))
        for stage, path in (("student", student_path(config)), ("skim", skimmer_path(config)))
    }
    return {
        "data": "AV-Kinetic, rendered by training.data.synth; seeds and counts under settings.render",
        "settings": to_plain(config),
        "validation": metrics,
        "openvino_difference": differences,
        "versions": versions(),
    }

"""Exports what was trained: graphs, the skimmer's weights, calibration, provenance."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from l2l_engine.plan import Plan, PlanDocument, SamplingSettings, write_plan
from training.clips.students import load_student, student_path
from training.config import Config, to_plain
from training.export.checks import logits_difference, top1
from training.export.graphs import fp32_graphs
from training.export.inputs import calibration_inputs
from training.export.precisions import more_precisions, noise
from training.export.recogniser import check_plan, export_recogniser
from training.export.untrained import PRESETS
from training.export.versions import versions
from training.learning.temperature import fit_temperature
from training.models import SkimmingNetwork, Student, media_settings
from training.models.banks import NormedLinear
from training.runs.files import write_json
from training.skimming.build import load_skimmer, skimmer_path
from training.skimming.features import extract_features
from training.skimming.measure import skim_tracks
from training.skimming.sequences import targets, to_sequences
from training.videos.sets import describe_set, load_sets


def export_plan(config: Config) -> Path:
    """Export the trained student and skimmer.

    Returns:
        The plan's path.

    Raises:
        RuntimeError: If the plan computes something else than PyTorch does.
    """
    torch.set_num_threads(config.threads)
    student, classes = load_student(config)
    skimmer = load_skimmer(config, len(classes))
    encoders = {name: getattr(student, name) for name in config.skim.modalities}
    media = media_settings(config.model, config.skim.hop)
    gap = config.factor * media.hop
    graphs, differences = fp32_graphs(encoders, media)
    calibration = calibration_inputs(config, media) if set(config.precisions) - {"fp32"} else noise(media)
    more, records = more_precisions(encoders, graphs, config.precisions, calibration)
    recogniser = export_recogniser(config, classes)
    document = PlanDocument(
        classes=classes,
        media=media,
        sampling=SamplingSettings(factor=config.factor, max_image_gap_s=gap, max_audio_gap_s=gap),
        skim=replace(PRESETS[config.skim.preset], steps=config.skim.steps),
        output=config.skim.output,
        modalities=config.skim.modalities,
        calibration=temperatures(config, skimmer, classes),
        recogniser=None if recogniser is None else recogniser.settings,
        provenance=provenance(config, differences),
    )
    path = Path(config.plan)
    path.parent.mkdir(parents=True, exist_ok=True)
    graphs |= more if recogniser is None else {**more, **recogniser.graphs}
    plan = write_plan(path, document, graphs=graphs, skim=skim_tensors(skimmer))
    video = calibration.inputs["image"][:32], calibration.inputs["audio"][:32]
    measured = measure_precisions(config, plan, student, skimmer, video)
    costs = {p: records.get(p, {}) | measured.get(p, {}) for p in (*measured, *records)}
    said: dict[str, Any] = {"precisions": costs}
    if recogniser is not None:
        said["recogniser"] = {**recogniser.record, "logits_difference": check_plan(plan, recogniser)}
    plan = _with_provenance(plan, **said)
    report = {"plan": plan.sha256, "bytes": path.stat().st_size, "differences": differences}
    write_json(config.folder("export", "metrics.json"), report | {"precisions": measured})
    print(f"{path}: {report['bytes']} bytes, PyTorch against OpenVINO {differences}", flush=True)
    return path


def temperatures(config: Config, skimmer: SkimmingNetwork, classes: tuple[str, ...]) -> tuple[float, ...]:
    """Return the temperature of each number of steps, fitted on the validation set."""
    tracks = to_sequences(extract_features(config, config.skim.validation), classes)
    skimmed = skim_tracks(skimmer, tracks, config.skim.steps, config.factor)
    labels = targets(tracks, len(classes)) if config.skim.several else skimmed.labels
    return tuple(fit_temperature(skimmed.logits[:, step], labels) for step in range(config.skim.steps))


def measure_precisions(
    config: Config, plan: Plan, student: Student, skimmer: SkimmingNetwork, video: tuple[Tensor, Tensor]
) -> dict[str, dict[str, float]]:
    """Measure for each precision how far logits are from PyTorch's, and the accuracy on the validation set.

    Accuracy is measured where there is something to choose, that is for more than one precision.
    """
    videos = [video for _, video in load_sets(config, config.skim.validation)]
    # fp16 graphs are for other devices; here they would be computed as fp32 is.
    on_this_device = [
        precision for precision in ("fp32", "int8") if precision in {"fp32", *config.precisions}
    ]
    measured: dict[str, dict[str, float]] = {}
    for precision in on_this_device:
        found = {"logits_difference": logits_difference(plan, student, skimmer, video, precision)}
        if len(on_this_device) > 1:
            found |= top1(plan, videos, precision, config.threads)
        print(
            f"{precision}: " + ", ".join(f"{name} {value:.4g}" for name, value in found.items()), flush=True
        )
        measured[precision] = found
    return measured


def _with_provenance(plan: Plan, **more: Any) -> Plan:
    """Return the same plan, saying more about itself."""
    document = replace(plan.document, provenance={**plan.document.provenance, **more})
    return write_plan(plan.path, document, graphs=plan.graphs, skim=plan.skim)


def skim_tensors(skimmer: SkimmingNetwork) -> dict[str, NDArray[np.float32]]:
    """Return the skimmer's weights under the plan's names, with all norms and the second bias folded."""
    tensors: dict[str, Tensor] = {}
    for name, layer in skimmer.named_modules():
        if isinstance(layer, NormedLinear):
            tensors[f"{name}.weight"], tensors[f"{name}.bias"] = layer.folded()
        elif isinstance(layer, nn.Linear) and not name.endswith(".linear"):
            tensors[f"{name}.weight"], tensors[f"{name}.bias"] = layer.weight, layer.bias
    lstm = skimmer.lstm
    tensors |= {"lstm.weight_ih": lstm.weight_ih, "lstm.weight_hh": lstm.weight_hh}
    tensors["lstm.bias"] = lstm.bias_ih + lstm.bias_hh
    return {name: tensor.detach().float().numpy() for name, tensor in tensors.items()}


def provenance(config: Config, differences: dict[str, float]) -> dict[str, Any]:
    """Return what the plan was made of: settings, metrics of every stage, versions of the tools."""
    metrics = {
        stage: json.loads(path.with_name("metrics.json").read_text(encoding="utf-8"))
        for stage, path in (("student", student_path(config)), ("skim", skimmer_path(config)))
    }
    return {
        "data": {name: describe_set(config, name) for name in config.skim.train},
        "settings": to_plain(config),
        "validation": metrics,
        "openvino_difference": differences,
        "versions": versions(),
    }

"""Writes the plan: ONNX graphs checked against PyTorch, the skimmer's weights, calibration, provenance."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import platform
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from l2l_engine.plan import MediaSettings, PlanDocument, SamplingSettings, SkimSettings, write_plan
from training.config import Config, to_plain
from training.finetune import load_student, student_path
from training.models import SkimmingNetwork
from training.runs import write_json
from training.skim import HOP, load_skimmer, load_tracks, skim_tracks, skimmer_path

TOLERANCE = 2e-4
"""Largest difference between OpenVINO and PyTorch in float32, as a share of the feature's largest value."""


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


def example_inputs(media: MediaSettings, count: int) -> tuple[Tensor, Tensor]:
    """Random frames and sounds, one of them silent."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, media.crop, media.crop, 3), np.uint8)
    samples = (0.2 * rng.standard_normal((count, media.window))).astype(np.float32)
    samples[-1] = 0
    return torch.from_numpy(images), torch.from_numpy(samples)


def to_onnx(module: nn.Module, example: Tensor, name: str) -> bytes:
    """The module as an ONNX graph with a free batch size, without a trace of the machine it was made on."""
    module.eval()
    with _quiet_exporter():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},),
            input_names=[name],
            output_names=["features"],
            verbose=False,
        )
    model = program.model_proto
    strip_traces(model)
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data


def strip_traces(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes about source files: a plan holds no paths (DESIGN 5)."""
    del model.metadata_props[:]
    model.doc_string = ""
    graph = model.graph
    del graph.metadata_props[:]
    graph.doc_string = ""
    for entries in (graph.node, graph.input, graph.output, graph.value_info, graph.initializer):
        for entry in entries:
            del entry.metadata_props[:]
            entry.doc_string = ""


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """The exporter warns about its own internals; nothing of that concerns these graphs."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logger.setLevel(level)


@torch.inference_mode()
def compare(module: nn.Module, graph: bytes, inputs: Tensor) -> float:
    """Largest difference between OpenVINO's and PyTorch's features, as a share of the largest feature.

    Raises:
        RuntimeError: If it exceeds the tolerance.
    """
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(graph), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    worst = 0.0
    for count in (len(inputs), 1):
        expected = module(inputs[:count]).numpy()
        found = compiled([inputs[:count].numpy()])[0]
        worst = max(worst, float(np.abs(found - expected).max() / np.abs(expected).max()))
    if not worst <= TOLERANCE:
        raise RuntimeError(f"the exported graph differs from PyTorch by {worst:.2g}")
    return worst


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
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "onnx": onnx.__version__,
            "openvino": openvino.__version__,
        },
    }

"""Encoders as ONNX graphs, checked against PyTorch."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from l2l_engine.plan import MediaSettings
from training.export.running import runner

TOLERANCE = 2e-4
"""Largest difference between graph and PyTorch in float32, as a share of the feature's largest value."""


def fp32_graphs(
    encoders: Mapping[str, nn.Module], media: MediaSettings, count: int = 3
) -> tuple[dict[str, bytes], dict[str, float]]:
    """Return the graphs "image.fp32" and "audio.fp32", and how far their features are from PyTorch's.

    Raises:
        RuntimeError: If a graph computes something else than PyTorch does.
    """
    images, samples = example_inputs(media, count)
    graphs, differences = {}, {}
    for part, name, inputs in (("image", "images", images), ("audio", "samples", samples)):
        if part not in encoders:
            continue
        graphs[f"{part}.fp32"] = to_onnx(encoders[part], inputs, name)
        differences[part] = compare(encoders[part], graphs[f"{part}.fp32"], inputs)
    return graphs, differences


def example_inputs(media: MediaSettings, count: int) -> tuple[Tensor, Tensor]:
    """Return random frames and sounds, one of them silent."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, media.crop, media.crop, 3), np.uint8)
    samples = (0.2 * rng.standard_normal((count, media.window))).astype(np.float32)
    samples[-1] = 0
    return torch.from_numpy(images), torch.from_numpy(samples)


def to_onnx(module: nn.Module, example: Tensor, name: str) -> bytes:
    """Turn a module into an ONNX graph of free batch size, without a trace of the machine it was made on."""
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
    if program is None:
        raise RuntimeError(f"PyTorch exported no graph of {type(module).__name__}")
    model = program.model_proto
    strip_traces(model)
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data


def strip_traces(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes about source files: a plan holds no paths (DESIGN 6)."""
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
    """Silence the exporter, which warns about its own internals; nothing of that concerns these graphs."""
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
    """Return how far the graph's features are from PyTorch's at most, as a share of the largest feature.

    Raises:
        RuntimeError: If it exceeds the tolerance.
    """
    run = runner(graph)
    worst = 0.0
    for count in (len(inputs), 1):
        expected = module(inputs[:count]).numpy()
        found = run(inputs[:count].numpy())
        worst = max(worst, float(np.abs(found - expected).max() / np.abs(expected).max()))
    if not worst <= TOLERANCE:
        raise RuntimeError(f"the exported graph differs from PyTorch by {worst:.2g}")
    return worst

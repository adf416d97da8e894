"""The same networks in fewer bits: fp16 by casting, int8 by quantisation calibrated on real inputs."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from l2l_engine.plan import MediaSettings
from training.export.graphs import example_inputs, strip_traces, to_onnx
from training.export.running import runner
from training.models import Encoder

LEAST_COSINE = {"fp16": 0.999, "int8": 0.9}
"""Mean cosine between a graph's features and PyTorch's in float32, below which it is taken for broken."""

FLOAT_TAIL = 1 / 3
"""Share of a network's convolutions, the last ones, that stay in float32 beside its int8 ones.

Rounding errors there go straight into the features. What int8 costs a plan is measured at export
and stands in it.
"""

INPUT_NAMES = {"image": "images", "audio": "samples", "recogniser": "frames"}
"""What graphs call what they take, by part."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Inputs whose ranges the quantised networks keep.

    Attributes:
        inputs: By part: frames uint8 [P, H, W, 3] for "image", samples float32 [P, window] for "audio",
            frames or clips uint8 [P, 16, H, W, 3] for "recogniser".
        what: Where they come from, for the plan's provenance.
    """

    inputs: Mapping[str, Tensor]
    what: str

    def record(self) -> dict[str, Any]:
        """Return what the plan says about it."""
        return {"data": self.what} | {part: len(inputs) for part, inputs in self.inputs.items()}


def noise(media: MediaSettings, count: int = 32) -> Calibration:
    """Random inputs: enough to compare what two programs compute, and not for int8."""
    images, samples = example_inputs(media, count)
    return Calibration({"image": images, "audio": samples}, "random noise")


class HalfEncoder(nn.Module):
    """An encoder whose body computes in fp16, and whose pre-processing stays in float32."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.whole = encoder
        self.half_body = copy.deepcopy(encoder).half()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return features in float32."""
        return self.half_body.body(self.whole.front(inputs).half()).float()


def more_precisions(
    encoders: Mapping[str, Encoder],
    graphs: Mapping[str, bytes],
    precisions: Sequence[str],
    calibration: Calibration,
) -> tuple[dict[str, bytes], dict[str, dict[str, Any]]]:
    """Make the graphs of more precisions than fp32.

    Args:
        encoders: The networks by part, in evaluation mode.
        graphs: Their fp32 graphs, by "<part>.fp32".
        precisions: "fp16" and "int8" are made; "fp32" is there.
        calibration: Inputs for int8; features are compared on them in any precision.

    Returns:
        The graphs, by "<part>.<precision>", and by precision what the plan's provenance says about them.

    Raises:
        RuntimeError: If a graph's features are not near PyTorch's.
    """
    made: dict[str, bytes] = {}
    records: dict[str, dict[str, Any]] = {}
    for precision in precisions:
        if precision == "fp32":
            continue
        record: dict[str, Any] = {"calibration": calibration.record()} if precision == "int8" else {}
        cosines = {}
        for part, encoder in encoders.items():
            inputs = calibration.inputs[part]
            if precision == "int8":
                graph = quantise(graphs[f"{part}.fp32"], inputs)
            else:
                graph = to_onnx(HalfEncoder(encoder), inputs[:2], INPUT_NAMES[part])
            cosines[part] = mean_cosine(encoder, graph, inputs[:32])
            if not cosines[part] >= LEAST_COSINE[precision]:
                raise RuntimeError(
                    f"{part} features in {precision} have a cosine of {cosines[part]:.4f} only"
                )
            made[f"{part}.{precision}"] = graph
        records[precision] = record | {"feature_cosine": cosines}
    return made, records


def quantise(graph: bytes, inputs: Tensor) -> bytes:
    """Turn an fp32 graph into int8 (Q/DQ), but for its beginning and its end; ``inputs`` give the ranges."""
    # Without this NNCF reports its use to its makers' server.
    os.environ["NNCF_CI"] = "1"
    import nncf  # noqa: PLC0415 - takes seconds

    nncf.set_log_level("ERROR")
    model = onnx.load_from_string(graph)
    name = model.graph.input[0].name
    rows = nncf.Dataset(inputs.numpy(), lambda row: {name: row[None]})
    scope = nncf.IgnoredScope(names=front_nodes(model) + tail_nodes(model))
    # By default the mean of the inputs' extremes bounds activations; that cuts off what stands out, which is
    # what features are made of.
    bounds = nncf.quantization.range_estimator.RangeEstimatorParametersSet.MINMAX
    advanced = nncf.AdvancedQuantizationParameters(activations_range_estimator_params=bounds)
    quantised = nncf.quantize(
        model, rows, subset_size=len(inputs), ignored_scope=scope, advanced_parameters=advanced
    )
    strip_traces(quantised)
    onnx.checker.check_model(quantised, full_check=True)
    data: bytes = quantised.SerializeToString()
    return data


def front_nodes(model: onnx.ModelProto) -> list[str]:
    """Return the nodes before the stem, which is the first convolution over two dimensions or more."""
    ranks = {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}
    names: list[str] = []
    for node in model.graph.node:  # in the order of computation
        if node.op_type == "Conv" and ranks.get(node.input[1], 0) >= 4:
            return names
        names.append(node.name)
    raise ValueError("the graph has no convolution over two dimensions or more")


def tail_nodes(model: onnx.ModelProto) -> list[str]:
    """Return the nodes that multiply in float32 still: the last convolutions, and what projects features."""
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    first = len(convolutions) - math.ceil(FLOAT_TAIL * len(convolutions))
    return convolutions[first:] + [n.name for n in model.graph.node if n.op_type in ("Gemm", "MatMul")]


@torch.inference_mode()
def mean_cosine(encoder: nn.Module, graph: bytes, inputs: Tensor) -> float:
    """Return the mean cosine between the graph's features on the CPU and the encoder's by PyTorch."""
    found = runner(graph)(inputs.numpy())
    expected = encoder(inputs).numpy()
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return float(((found * expected).sum(axis=1) / np.maximum(lengths, 1e-12)).mean())

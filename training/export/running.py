"""What runs a graph on the CPU, to compare it with PyTorch: OpenVINO, or else ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray


def runner(graph: bytes) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """From inputs [P, ...] to the graph's features [P, D], in float32 arithmetic.

    Raises:
        ImportError: Neither is there.
    """
    try:
        import openvino  # noqa: PLC0415 - a machine that only exports need not have it
    except ImportError:
        return _by_onnxruntime(graph)
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(graph), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda inputs: compiled([inputs])[0]


def _by_onnxruntime(graph: bytes) -> Callable[[NDArray[Any]], NDArray[Any]]:
    import onnxruntime  # noqa: PLC0415 - needed only here

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda inputs: session.run(None, {name: inputs})[0]

"""What runs a graph on the CPU, to compare it with PyTorch: OpenVINO, or else ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray


def runner(graph: bytes, threads: int | None = None) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """From inputs [P, ...] to the graph's features [P, D], in float32 arithmetic.

    Args:
        graph: ONNX.
        threads: How many compute it; all cores by default.

    Raises:
        ImportError: Neither is there.
    """
    try:
        import openvino  # noqa: PLC0415 - a machine that only exports need not have it
    except ImportError:
        return _by_onnxruntime(graph, threads)
    core = openvino.Core()
    options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
    options |= {} if threads is None else {"INFERENCE_NUM_THREADS": threads}
    compiled = core.compile_model(core.read_model(graph), "CPU", options)
    return lambda inputs: compiled([inputs])[0]


def _by_onnxruntime(graph: bytes, threads: int | None) -> Callable[[NDArray[Any]], NDArray[Any]]:
    import onnxruntime  # noqa: PLC0415 - needed only here

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda inputs: session.run(None, {name: inputs})[0]

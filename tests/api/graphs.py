"""Tiny real ONNX encoders: features are linear in mean colour and in loudness over time."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def image_graph(feature: int = 12, crop: int = 112, seed: int = 1) -> bytes:
    """uint8 [B, crop, crop, 3] to float32 [B, feature]."""
    weight = np.random.default_rng(seed).standard_normal((3, feature)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["frames"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "sides"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "most"], ["colour"]),
        helper.make_node("MatMul", ["colour", "weight"], ["features"]),
    ]
    constants = {"sides": np.array([1, 2]), "most": np.array(255, np.float32), "weight": weight}
    return _graph(nodes, constants, "frames", TensorProto.UINT8, ["B", crop, crop, 3], feature)


def audio_graph(feature: int = 12, window: int = 16000, seed: int = 2) -> bytes:
    """float32 [B, window] to float32 [B, feature]."""
    weight = np.random.default_rng(seed).standard_normal((10, feature)).astype(np.float32)
    nodes = [
        helper.make_node("Reshape", ["samples", "tenths"], ["parts"]),
        helper.make_node("Mul", ["parts", "parts"], ["power"]),
        helper.make_node("ReduceMean", ["power", "last"], ["loudness"], keepdims=0),
        helper.make_node("MatMul", ["loudness", "weight"], ["features"]),
    ]
    constants = {"tenths": np.array([-1, 10, window // 10]), "last": np.array([2]), "weight": weight}
    return _graph(nodes, constants, "samples", TensorProto.FLOAT, ["B", window], feature)


def recogniser_graph(weight: np.ndarray, crop: int = 112) -> bytes:
    """Logits that are linear in the mean colours, 0 to 1, of a moment's frames.

    Args:
        weight: [3, C] for a frame: uint8 [B, crop, crop, 3] to float32 [B, C]; or [F, 3, C] for clips of F
            frames: uint8 [B, F, crop, crop, 3].
        crop: Pixels.
    """
    frames = weight.shape[:-2]
    nodes = [
        helper.make_node("Cast", ["frames"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "sides"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "most"], ["colours"]),
        helper.make_node("Flatten", ["colours"], ["row"], axis=1),
        helper.make_node("MatMul", ["row", "weight"], ["features"]),
    ]
    classes = weight.shape[-1]
    constants = {
        "sides": np.array([1, 2]) + len(frames),
        "most": np.array(255, np.float32),
        "weight": weight.reshape(-1, classes).astype(np.float32),
    }
    return _graph(nodes, constants, "frames", TensorProto.UINT8, ["B", *frames, crop, crop, 3], classes)


def _graph(
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    source: str,
    dtype: int,
    shape: list[str | int],
    feature: int,
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info(source, dtype, shape)],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["B", feature])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data

"""Encoders of the paper's size as ONNX graphs, with random weights, in every precision, made in a moment.

Precision is in the graph: in fp16 the weights and the arithmetic are halves, in int8 every convolution has
QuantizeLinear and DequantizeLinear around it. Inputs and features are what a plan's are in all of them.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Precision = Literal["fp32", "fp16", "int8"]


def resnet18(part: str, precision: Precision = "fp32", *, width: int = 64, seed: int = 0) -> bytes:
    """ResNet-18 behind a plan's input: "image" takes uint8 frames, "audio" 16000 samples."""
    return _Maker(precision, seed).encoder(part, width)


class _Maker:
    def __init__(self, precision: Precision, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._precision = precision
        self._float = np.dtype(np.float16 if precision == "fp16" else np.float32)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def encoder(self, part: str, width: int) -> bytes:
        if part == "image":
            name, dtype, shape, channels = "images", TensorProto.UINT8, [112, 112, 3], 3
            x = self._op("Transpose", [self._cast(name, self._float)], perm=[0, 3, 1, 2])
        else:
            name, dtype, shape, channels = "samples", TensorProto.FLOAT, [16000], 1
            x = self._spectrum(name)
        x = self._op("Relu", [self._conv(x, channels, width, 7, 2)])
        x = self._op("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
        channels = width
        for stage in range(4):
            for block in range(2):
                stride = 2 if stage and not block else 1
                x = self._block(x, channels, width << stage, stride)
                channels = width << stage
        x = self._op("GlobalAveragePool", [x])
        x = self._cast(self._op("Flatten", [x], axis=1), np.dtype(np.float32), "features")
        output = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["B", channels])
        source = helper.make_tensor_value_info(name, dtype, ["B", *shape])
        graph = helper.make_graph(self._nodes, "encoder", [source], [output], self._weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        data: bytes = model.SerializeToString()
        return data

    def _spectrum(self, samples: str) -> str:
        """Something of a spectrogram's shape and cost: [B, 1, 101, 40]."""
        x = self._op("Reshape", [samples, self._constant(np.array([-1, 1, 16000]))])
        window = self._constant(self._draw(402, 1, 400).astype(np.float32))
        x = self._op("Conv", [x, window], strides=[160], pads=[200, 200])
        power = self._op("Transpose", [self._op("Mul", [x, x])], perm=[0, 2, 1])
        mel = self._op("MatMul", [power, self._constant(np.abs(self._draw(402, 40)).astype(np.float32))])
        x = self._op("Log", [self._op("Add", [mel, self._constant(np.array(1e-6, np.float32))])])
        x = self._op("Reshape", [x, self._constant(np.array([-1, 1, 101, 40]))])
        return self._cast(x, self._float)

    def _block(self, x: str, before: int, after: int, stride: int) -> str:
        y = self._op("Relu", [self._conv(x, before, after, 3, stride)])
        y = self._conv(y, after, after, 3, 1)
        if stride != 1 or before != after:
            x = self._conv(x, before, after, 1, stride)
        return self._op("Relu", [self._op("Add", [y, x])])

    def _conv(self, x: str, before: int, after: int, size: int, stride: int) -> str:
        weight = self._draw(after, before, size, size)
        if self._precision == "int8":
            x = self._quantised(x)
            scale = np.abs(weight).max((1, 2, 3)).astype(np.float32) / 127
            integers = np.rint(weight / scale[:, None, None, None]).astype(np.int8)
            ends = [self._constant(scale), self._constant(np.zeros(after, np.int8))]
            kernel = self._op("DequantizeLinear", [self._constant(integers), *ends], axis=0)
        else:
            kernel = self._constant(weight.astype(self._float))
        bias = self._constant(np.zeros(after, self._float))
        pads = [size // 2] * 4
        return self._op("Conv", [x, kernel, bias], strides=[stride] * 2, pads=pads)

    def _quantised(self, x: str) -> str:
        ends = [self._constant(np.array(0.05, np.float32)), self._constant(np.array(0, np.int8))]
        return self._op("DequantizeLinear", [self._op("QuantizeLinear", [x, *ends]), *ends])

    def _cast(self, x: str, dtype: np.dtype, name: str | None = None) -> str:
        return self._op("Cast", [x], name, to=helper.np_dtype_to_tensor_dtype(dtype))

    def _draw(self, rows: int, *shape: int) -> np.ndarray:
        return self._rng.standard_normal((rows, *shape), np.float32) / np.sqrt(np.prod(shape))

    def _constant(self, array: np.ndarray) -> str:
        name = f"constant{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(array, name))
        return name

    def _op(self, kind: str, inputs: list[str], name: str | None = None, **attributes: object) -> str:
        name = name or f"{kind.lower()}{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

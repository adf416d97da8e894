"""Writes small TensorFlow Lite files of convolutional networks, as converters lay them out."""

from dataclasses import dataclass
from typing import Literal

import flatbuffers
import numpy as np
import tflite

ACTIVATION = tflite.ActivationFunctionType.RELU


@dataclass
class Weights:
    """A layer's weights, [out, height, width, in] or [1, height, width, out] or [out, in], and its bias.

    ``form`` is how the weights are kept: "float", "tensor" or "channel" for int8 with one scale or one a
    channel, "unpacked" for int8 behind a DEQUANTIZE, "half" for float16.
    """

    kind: Literal["conv", "depthwise", "dense"]
    weight: np.ndarray
    bias: np.ndarray | None = None
    stride: int = 1
    form: Literal["float", "tensor", "channel", "unpacked", "half"] = "float"

    @property
    def axis(self) -> int:
        return 3 if self.kind == "depthwise" else 0

    def kept(self) -> tuple[np.ndarray, np.ndarray | None]:
        """What stands in the file, and its scales."""
        if self.form == "float":
            return self.weight.astype(np.float32), None
        if self.form == "half":
            return self.weight.astype(np.float16), None
        others = tuple(axis for axis in range(self.weight.ndim) if axis != self.axis)
        greatest = np.abs(self.weight).max(axis=others if self.form == "channel" else None)
        scales = np.atleast_1d(greatest / 127).astype(np.float32)
        return np.round(self.weight / self._along(scales)).astype(np.int8), scales

    def meant(self) -> np.ndarray:
        """The numbers that the file stands for."""
        kept, scales = self.kept()
        return kept.astype(np.float32) * (1 if scales is None else self._along(scales))

    def _along(self, scales: np.ndarray) -> np.ndarray:
        shape = [1] * self.weight.ndim
        shape[self.axis] = len(scales)
        return scales.reshape(shape)


class _Writer:
    def __init__(self) -> None:
        self.b = flatbuffers.Builder(1 << 16)
        self.buffers, self.tensors, self.operators = [self._buffer(b"")], [], []
        self.codes: list[int] = []

    def tensor(
        self, shape, kind=tflite.TensorType.FLOAT32, data: bytes | None = None, scales=None, axis=0
    ) -> int:
        b = self.b
        name = b.CreateString(f"t{len(self.tensors)}")
        quantised = None if scales is None else self._quantised(scales, axis)
        if data is not None:
            self.buffers.append(self._buffer(data))
        sizes = b.CreateNumpyVector(np.array(shape, np.int32))
        tflite.TensorStart(b)
        tflite.TensorAddShape(b, sizes)
        tflite.TensorAddType(b, kind)
        tflite.TensorAddBuffer(b, 0 if data is None else len(self.buffers) - 1)
        tflite.TensorAddName(b, name)
        if quantised is not None:
            tflite.TensorAddQuantization(b, quantised)
        self.tensors.append(tflite.TensorEnd(b))
        return len(self.tensors) - 1

    def operator(
        self, code: int, inputs, output: int, options_type: int = 0, options: int | None = None
    ) -> None:
        if code not in self.codes:
            self.codes.append(code)
        b = self.b
        ins, outs = (b.CreateNumpyVector(np.array(numbers, np.int32)) for numbers in (inputs, [output]))
        tflite.OperatorStart(b)
        tflite.OperatorAddOpcodeIndex(b, self.codes.index(code))
        tflite.OperatorAddInputs(b, ins)
        tflite.OperatorAddOutputs(b, outs)
        if options is not None:
            tflite.OperatorAddBuiltinOptionsType(b, options_type)
            tflite.OperatorAddBuiltinOptions(b, options)
        self.operators.append(tflite.OperatorEnd(b))

    def finish(self, inputs, outputs) -> bytes:
        b, codes = self.b, []
        for code in self.codes:
            tflite.OperatorCodeStart(b)
            tflite.OperatorCodeAddDeprecatedBuiltinCode(b, code)
            tflite.OperatorCodeAddBuiltinCode(b, code)
            tflite.OperatorCodeAddVersion(b, 3)
            codes.append(tflite.OperatorCodeEnd(b))
        ins, outs = (b.CreateNumpyVector(np.array(numbers, np.int32)) for numbers in (inputs, outputs))
        tensors, operators = self._list(self.tensors), self._list(self.operators)
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, tensors)
        tflite.SubGraphAddInputs(b, ins)
        tflite.SubGraphAddOutputs(b, outs)
        tflite.SubGraphAddOperators(b, operators)
        graphs = self._list([tflite.SubGraphEnd(b)])
        kinds, buffers = self._list(codes), self._list(self.buffers)
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddOperatorCodes(b, kinds)
        tflite.ModelAddSubgraphs(b, graphs)
        tflite.ModelAddBuffers(b, buffers)
        b.Finish(tflite.ModelEnd(b), b"TFL3")
        return bytes(b.Output())

    def _list(self, offsets) -> int:
        self.b.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.b.PrependUOffsetTRelative(offset)
        return self.b.EndVector()

    def _buffer(self, data: bytes) -> int:
        vector = self.b.CreateByteVector(data) if data else None
        tflite.BufferStart(self.b)
        if vector is not None:
            tflite.BufferAddData(self.b, vector)
        return tflite.BufferEnd(self.b)

    def _quantised(self, scales, axis: int) -> int:
        b = self.b
        scale = b.CreateNumpyVector(scales.astype(np.float32))
        zero = b.CreateNumpyVector(np.zeros(len(scales), np.int64))
        tflite.QuantizationParametersStart(b)
        tflite.QuantizationParametersAddScale(b, scale)
        tflite.QuantizationParametersAddZeroPoint(b, zero)
        tflite.QuantizationParametersAddQuantizedDimension(b, axis)
        return tflite.QuantizationParametersEnd(b)


def flat_file(layers: list[Weights], picture: tuple[int, int] = (96, 64)) -> bytes:
    """A network [1, height, width, 1] to logits: convolutions with ReLU, the mean over places, a dense layer.

    Its outputs are the logits and the mean, which is the embedding.
    """
    w, (height, width), channels = _Writer(), picture, 1
    first = now = w.tensor((1, height, width, channels))
    embedding = None
    for layer in layers:
        weight = _constant(w, layer)
        inputs = (
            [weight] if layer.bias is None else [weight, w.tensor(layer.bias.shape, data=_bytes(layer.bias))]
        )
        if layer.kind == "dense":
            axes = w.tensor((2,), tflite.TensorType.INT32, np.array([1, 2], np.int32).tobytes())
            embedding = w.tensor((1, channels))
            tflite.ReducerOptionsStart(w.b)
            mean = tflite.ReducerOptionsEnd(w.b)
            w.operator(
                tflite.BuiltinOperator.MEAN,
                [now, axes],
                embedding,
                tflite.BuiltinOptions.ReducerOptions,
                mean,
            )
            logits = w.tensor((1, len(layer.weight)))
            tflite.FullyConnectedOptionsStart(w.b)
            options = tflite.FullyConnectedOptionsEnd(w.b)
            kind = tflite.BuiltinOptions.FullyConnectedOptions
            w.operator(tflite.BuiltinOperator.FULLY_CONNECTED, [embedding, *inputs], logits, kind, options)
            now = logits
            continue
        height, width = (-(-size // layer.stride) for size in (height, width))
        channels = layer.weight.shape[layer.axis]
        out = w.tensor((1, height, width, channels))
        _convolve(w, layer, [now, *inputs], out)
        now = out
    return w.finish([first], [now] if embedding is None else [now, embedding])


def _convolve(w: _Writer, layer: Weights, inputs, out: int) -> None:
    conv = layer.kind == "conv"
    name = "Conv2DOptions" if conv else "DepthwiseConv2DOptions"
    getattr(tflite, f"{name}Start")(w.b)
    getattr(tflite, f"{name}AddPadding")(w.b, tflite.Padding.SAME)
    getattr(tflite, f"{name}AddStrideW")(w.b, layer.stride)
    getattr(tflite, f"{name}AddStrideH")(w.b, layer.stride)
    getattr(tflite, f"{name}AddFusedActivationFunction")(w.b, ACTIVATION)
    getattr(tflite, f"{name}AddDilationWFactor")(w.b, 1)
    getattr(tflite, f"{name}AddDilationHFactor")(w.b, 1)
    if not conv:
        tflite.DepthwiseConv2DOptionsAddDepthMultiplier(w.b, 1)
    options = getattr(tflite, f"{name}End")(w.b)
    operators = tflite.BuiltinOperator
    code = operators.CONV_2D if conv else operators.DEPTHWISE_CONV_2D
    w.operator(code, inputs, out, getattr(tflite.BuiltinOptions, name), options)


def _constant(w: _Writer, layer: Weights) -> int:
    kept, scales = layer.kept()
    types = {"f4": tflite.TensorType.FLOAT32, "f2": tflite.TensorType.FLOAT16, "i1": tflite.TensorType.INT8}
    number = w.tensor(kept.shape, types[kept.dtype.str[1:]], _bytes(kept), scales, layer.axis)
    if layer.form not in ("unpacked", "half"):
        return number
    real = w.tensor(kept.shape)
    w.operator(tflite.BuiltinOperator.DEQUANTIZE, [number], real)
    return real


def _bytes(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array).tobytes()

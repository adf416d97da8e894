"""Weights of the layers in a TensorFlow Lite file, in the order in which the network computes them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from training.errors import InputError

if TYPE_CHECKING:
    from types import ModuleType

_IDENTIFIER = b"TFL3"
CONVOLUTION, DEPTHWISE, DENSE = "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"
_LARGEST = 1 << 30
"""Bytes; networks on which this makes sense are far smaller."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution or a fully connected layer.

    Attributes:
        kind: ``CONVOLUTION``, ``DEPTHWISE`` or ``DENSE``.
        weight: float32, as the file lays it: [out, height, width, in], [1, height, width, channels] of a
            depthwise convolution, [out, in] of a fully connected layer.
        bias: float32 [out]; None without one.
    """

    kind: str
    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None


def read_layers(path: Path) -> list[Layer]:
    """Return the layers of a file's first graph; weights in int8 become scale * (q - zero point).

    Raises:
        InputError: If the package "tflite" is missing, or the file is damaged or of another kind.
        OSError: If it cannot be read.
    """
    try:
        import tflite  # noqa: PLC0415 - optional
    except ImportError as error:
        raise InputError(f"{path}: reading it needs the package tflite, of the extra 'encoders'") from error
    if path.stat().st_size > _LARGEST:
        raise InputError(f"{path} is no file of weights: it is larger than {_LARGEST} bytes")
    content = path.read_bytes()
    if content[4:8] != _IDENTIFIER:
        raise InputError(f"{path} is no TensorFlow Lite file")
    try:
        return _Graph(tflite, content).layers()
    except (struct.error, ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
        # What the package raises on offsets and lengths that lead nowhere.
        raise InputError(f"{path} is damaged, or of a kind that is not known: {error}") from error


class _Graph:
    """The first graph of a model.

    Args:
        tflite: The package.
        content: The file.
    """

    def __init__(self, tflite: ModuleType, content: bytes) -> None:
        self._lite, self._limit = tflite, len(content)
        self._model = tflite.Model.GetRootAsModel(content, 0)
        self._graph = self._model.Subgraphs(0)
        codes = [
            self._model.OperatorCodes(at) for at in range(self._counted(self._model.OperatorCodesLength()))
        ]
        # Files older than the field have only the deprecated one.
        self._codes = [max(code.BuiltinCode(), code.DeprecatedBuiltinCode()) for code in codes]

    def layers(self) -> list[Layer]:
        """Return the layers."""
        operators = self._lite.BuiltinOperator
        kinds = {getattr(operators, kind): kind for kind in (CONVOLUTION, DEPTHWISE, DENSE)}
        found, unpacked = [], dict[int, int]()
        for at in range(self._counted(self._graph.OperatorsLength())):
            operator = self._graph.Operators(at)
            code = self._codes[operator.OpcodeIndex()]
            inputs = [operator.Inputs(i) for i in range(self._counted(operator.InputsLength()))]
            if code == operators.DEQUANTIZE:
                unpacked[operator.Outputs(0)] = inputs[0]
            elif code in kinds:
                weight = self._values(unpacked.get(inputs[1], inputs[1]))
                has_bias = len(inputs) > 2 and inputs[2] >= 0
                bias = self._values(unpacked.get(inputs[2], inputs[2])) if has_bias else None
                found.append(Layer(kinds[code], weight, bias))
        return found

    def _values(self, number: int) -> NDArray[np.float32]:
        """Return a constant tensor in float32."""
        tensor = self._graph.Tensors(number)
        types = self._lite.TensorType
        dtypes: dict[int, Any] = {
            types.FLOAT32: "<f4", types.FLOAT16: "<f2", types.INT8: "i1", types.UINT8: "u1",
            types.INT32: "<i4",
        }  # fmt: skip
        if tensor.Type() not in dtypes:
            raise ValueError(f"tensor {number} is of type {tensor.Type()}")
        shape = [tensor.Shape(at) for at in range(self._counted(tensor.ShapeLength()))]
        buffer = self._model.Buffers(tensor.Buffer())
        if not buffer.DataLength():
            raise ValueError(f"tensor {number} has no data")
        data = np.frombuffer(buffer.DataAsNumpy().tobytes(), dtypes[tensor.Type()]).reshape(shape)
        values = data.astype(np.float32)
        if data.dtype.kind == "f":
            return _finite(values)
        return _finite(self._scaled(tensor, values))

    def _scaled(self, tensor: Any, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the real numbers that quantised ones stand for, per tensor or per channel."""
        how = tensor.Quantization()
        count = self._counted(how.ScaleLength())
        if not count:
            raise ValueError("whole numbers without a scale")
        scales = np.array([how.Scale(at) for at in range(count)], np.float32)
        zeros = np.array(
            [how.ZeroPoint(at) for at in range(self._counted(how.ZeroPointLength()))], np.float32
        )
        zeros = zeros if len(zeros) else np.zeros(count, np.float32)
        if count > 1:
            shape = [1] * values.ndim
            shape[how.QuantizedDimension()] = -1
            scales, zeros = scales.reshape(shape), zeros.reshape(shape)
            if scales.size != values.shape[how.QuantizedDimension()]:
                raise ValueError(f"{scales.size} scales are not one for each channel")
        with np.errstate(over="ignore"):  # infinite weights are refused
            return scales * (values - zeros)

    def _counted(self, length: int) -> int:
        """Return the length of a list, which cannot be longer than the file."""
        if length > self._limit:
            raise ValueError(f"a list of {length} entries in {self._limit} bytes")
        return length


def _finite(values: NDArray[np.float32]) -> NDArray[np.float32]:
    if not np.isfinite(values).all():
        raise ValueError("weights that are not finite")
    return values

"""A plan's graph in PyTorch: what encodes in the benchmarks where no TensorRT can be used."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.gpu.timings import Work, graph
from l2l_engine.errors import DeviceError
from l2l_engine.gpu.device import View

Values = list[Any]
Attributes = dict[str, Any]


class Replayed:
    """The graph in PyTorch's functions, one for one, so that both have the same weights and precision.

    Args:
        torch: PyTorch.
        data: ONNX bytes, of the operations that a plan's fp32 and fp16 graphs are made of.
        device: Of PyTorch.
    """

    def __init__(self, torch: Any, data: bytes, *, device: str = "cuda") -> None:
        import onnx  # noqa: PLC0415
        from onnx import numpy_helper  # noqa: PLC0415

        model = onnx.load_from_string(data)
        source = model.graph.input[0]
        self._torch, self._source = torch, source.name
        self.shape = tuple(side.dim_value for side in source.type.tensor_type.shape.dim[1:])
        self.dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(source.type.tensor_type.elem_type))
        self._constants, self._lists = {}, {}
        for tensor in model.graph.initializer:
            value = numpy_helper.to_array(tensor).copy()
            self._constants[tensor.name] = torch.from_numpy(value).to(device)
            # Known beforehand: reading them from the device would wait for it.
            self._lists[tensor.name] = value.reshape(-1).tolist() if value.dtype == np.int64 else []
        self._nodes = [
            (
                getattr(self, f"_{node.op_type.lower()}"),
                list(node.input),
                list(node.output),
                {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute},
            )
            for node in model.graph.node
        ]

    def __call__(self, batch: Any) -> Any:
        """Return features [B, D] of a batch [B, ...]."""
        values = {**self._constants, self._source: batch}
        made: Any = None
        for apply, names, outputs, attributes in self._nodes:
            made = apply([values[name] for name in names], names, attributes)
            values.update(zip(outputs, made if isinstance(made, tuple) else (made,), strict=True))
        return made

    def _cast(self, x: Values, names: list[str], a: Attributes) -> Any:
        return x[0].to({1: self._torch.float32, 10: self._torch.float16}[a["to"]])

    def _conv(self, x: Values, names: list[str], a: Attributes) -> Any:
        functional = self._torch.nn.functional
        convolve = functional.conv1d if x[1].dim() == 3 else functional.conv2d
        pads = a["pads"][: len(a["pads"]) // 2]
        return convolve(x[0], x[1], x[2] if len(x) > 2 else None, stride=a["strides"], padding=pads)

    def _maxpool(self, x: Values, names: list[str], a: Attributes) -> Any:
        return self._torch.nn.functional.max_pool2d(x[0], a["kernel_shape"], a["strides"], a["pads"][:2])

    def _batchnormalization(self, x: Values, names: list[str], a: Attributes) -> Any:
        value, scale, bias, mean, variance = x
        return self._torch.nn.functional.batch_norm(value, mean, variance, scale, bias, eps=a["epsilon"])

    def _gemm(self, x: Values, names: list[str], a: Attributes) -> Any:
        assert a.get("transB") == 1
        return self._torch.nn.functional.linear(*x)

    def _pad(self, x: Values, names: list[str], a: Attributes) -> Any:
        assert a["mode"] == b"reflect"
        pads = self._lists[names[1]]
        return self._torch.nn.functional.pad(x[0], (pads[len(pads) // 2 - 1], pads[-1]), mode="reflect")

    def _split(self, x: Values, names: list[str], a: Attributes) -> Any:
        return x[0].chunk(a["num_outputs"], dim=a["axis"])

    def _unsqueeze(self, x: Values, names: list[str], a: Attributes) -> Any:
        return x[0].unsqueeze(*self._lists[names[1]])

    def _reducemean(self, x: Values, names: list[str], a: Attributes) -> Any:
        return x[0].mean(self._lists[names[1]], keepdim=bool(a["keepdims"]))

    def _reshape(self, x: Values, names: list[str], a: Attributes) -> Any:
        return x[0].reshape(self._lists[names[1]])

    def _transpose(self, x: Values, names: list[str], a: Attributes) -> Any:
        return x[0].permute(*a["perm"])

    def _relu(self, x: Values, names: list[str], a: Attributes) -> Any:
        return x[0].relu()

    def _log(self, x: Values, names: list[str], a: Attributes) -> Any:
        return x[0].log()

    def _add(self, x: Values, names: list[str], a: Attributes) -> Any:
        return x[0] + x[1]

    def _sub(self, x: Values, names: list[str], a: Attributes) -> Any:
        return x[0] - x[1]

    def _mul(self, x: Values, names: list[str], a: Attributes) -> Any:
        return x[0] * x[1]

    def _matmul(self, x: Values, names: list[str], a: Attributes) -> Any:
        return x[0] @ x[1]


class ReplayedNetwork:
    """The same as :class:`l2l_engine.gpu.slots.Network`: each size of batch is a CUDA graph of PyTorch's."""

    batch, alignment = range(1, 65), 1

    def __init__(self, torch: Any, data: bytes, *, device: str = "cuda") -> None:
        self._torch, self._device = torch, device
        self._network = Replayed(torch, data, device=device)
        self.input_shape = self._network.shape
        self.features = int(self._run(self._empty(1)).shape[1])

    def worker(self) -> ReplayedWorker:
        """Return a worker for a stream of its own."""
        return ReplayedWorker(self)

    def call(self, size: int) -> tuple[Any, Any, Work]:
        """Return where a batch of this size is taken from, where its features go, and the call."""
        given = self._empty(size)
        made = self._run(given).clone()

        def work() -> object:
            return made.copy_(self._run(given))

        return given, made, work if self._device == "cpu" else graph(self._torch, work)

    def on(self, stream: int) -> Any:
        """Send PyTorch's work to this stream."""
        if self._device == "cpu":
            return nullcontext()
        return self._torch.cuda.stream(self._torch.cuda.ExternalStream(stream))

    def is_capturing(self) -> bool:
        """Whether the stream it is on is being captured."""
        return self._device != "cpu" and bool(self._torch.cuda.is_current_stream_capturing())

    def tensor(self, view: View) -> Any:
        """Return an array of the device, without a copy."""
        if self._device != "cpu":
            return self._torch.as_tensor(view, device=self._device)
        data = (ctypes.c_uint8 * view.nbytes).from_address(view.pointer)
        return self._torch.from_numpy(np.frombuffer(memoryview(data), view.dtype).reshape(view.shape))

    def _empty(self, size: int) -> Any:
        zeros = np.zeros((size, *self.input_shape), self._network.dtype)
        return self._torch.from_numpy(zeros).to(self._device)

    def _run(self, batch: Any) -> Any:
        with self._torch.inference_mode(False), self._torch.no_grad():
            return self._network(batch).float()


class ReplayedWorker:
    """See :class:`l2l_engine.gpu.slots.Worker`."""

    def __init__(self, network: ReplayedNetwork) -> None:
        self._network = network
        self._calls: dict[int, tuple[Any, Any, Work]] = {}

    def enqueue(self, batch: View, features: View, stream: int) -> None:
        """Queue one call.

        Raises:
            DeviceError: The stream is being captured: a graph cannot hold another as PyTorch launches it.
        """
        network, size = self._network, batch.shape[0]
        with network.on(stream):
            if network.is_capturing():
                raise DeviceError("PyTorch's calls are CUDA graphs already")
            if size not in self._calls:
                self._calls[size] = network.call(size)
            given, made, work = self._calls[size]
            given.copy_(network.tensor(batch))
            work()
            network.tensor(features).copy_(made)


@contextmanager
def replayed_networks(torch: Any, *, device: str = "cuda") -> Iterator[None]:
    """Give what is loaded for a GPU meanwhile its encoders in PyTorch; the rest is as always."""
    from l2l_engine.gpu import loading  # noqa: PLC0415 - whole predictions take more than the kernels

    def network(plan: Any, part: str, precision: str, trusted: bool, number: int) -> ReplayedNetwork:
        return ReplayedNetwork(torch, bytes(plan.graphs[f"{part}.{precision}"]), device=device)

    with (
        patch.object(loading, "_load_network", network),
        patch.object(loading, "_missing_tensorrt", lambda: None),
    ):
        yield

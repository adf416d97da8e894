"""Encoders of the paper's size by each TensorRT there is, beside PyTorch in fp16, at batch 32."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu.section import NotRunError, needs, needs_torch, status
from benchmarks.gpu.timings import Work, graph, microseconds
from l2l_engine.cuda.device import View

sys.path.append(str(Path(__file__).parents[2] / "tests" / "kernels"))
BATCH = 32
PROFILE = (1, 32, 128)
EAGER, COMPILED = 2.0, 1.3
"""How many times faster than these an engine should be."""


def encoders() -> dict[str, Any]:
    """Latency of each flavour and part; where none runs, that of PyTorch in a CUDA graph stands alone."""
    torch = needs_torch()
    needs("onnx")
    parts = {}
    for part in ("image", "audio"):
        parts[part] = _part(torch, part)
    flavours = [made for part in parts.values() for made in part["engines"].values()]
    ran = [made for made in flavours if made["status"] != "not run"]
    good = bool(ran) and all(made["status"] == "passed" for made in ran)
    record: dict[str, Any] = {"goals": f"{EAGER}x PyTorch eager, {COMPILED}x torch.compile; features close"}
    record["parts"] = parts
    record["status"] = status(good) if ran else "not run"
    if not ran:
        record["reason"] = "; ".join(sorted({made["reason"] for made in flavours}))
    record["summary"] = "; ".join(_words(part, made) for part, made in parts.items())
    return record


def _words(part: str, made: dict[str, Any]) -> str:
    times = made["us"]
    best = min(times, key=times.__getitem__)
    return f"{part} {times[best]:.0f} us by {best}, PyTorch eager {times['PyTorch eager']:.0f}"


def _part(torch: Any, part: str) -> dict[str, Any]:
    from tests.api.networks import resnet18  # noqa: PLC0415 - it needs onnx

    data = resnet18(part, "fp16")
    network = Replayed(torch, data)
    rng = np.random.default_rng(0)
    if part == "image":
        batch = torch.from_numpy(rng.integers(0, 256, (BATCH, 112, 112, 3), np.uint8)).cuda()
    else:
        batch = torch.from_numpy(rng.standard_normal((BATCH, 16000)).astype(np.float32)).cuda()
    with torch.inference_mode():
        wanted = network(batch)
        works: dict[str, Work] = {"PyTorch eager": lambda: network(batch)}
        problems: dict[str, str] = {}
        _try(works, problems, "PyTorch in a graph", lambda: graph(torch, works["PyTorch eager"]))
        _try(works, problems, "torch.compile", lambda: _compiled(torch, network, batch))
        engines: dict[str, Any] = {}
        for flavour in ("tensorrt", "tensorrt_rtx"):
            try:
                works[flavour], features = _engine(torch, part, data, flavour, batch)
                works[flavour]()
                torch.cuda.synchronize()
                apart = float((features - wanted).abs().max() / wanted.abs().max())
                engines[flavour] = {"features apart": apart}
            except NotRunError as reason:
                engines[flavour] = {"status": "not run", "reason": str(reason)}
            except Exception as error:
                works.pop(flavour, None)
                engines[flavour] = {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
        times = microseconds(torch, works)
    for flavour, made in engines.items():
        if flavour in times:
            ratios = {name: times[name] / times[flavour] for name in times if name != flavour}
            good = made["features apart"] < 0.02 and ratios["PyTorch eager"] >= EAGER
            good &= ratios.get("torch.compile", COMPILED) >= COMPILED
            made |= {"status": status(good), "times faster": ratios}
    return {"us": times, "engines": engines, "problems": problems}


def _try(works: dict[str, Work], problems: dict[str, str], name: str, make: Callable[[], Work]) -> None:
    try:
        works[name] = make()
    except Exception as error:
        problems[name] = f"{type(error).__name__}: {error}"[:500]


def _compiled(torch: Any, network: Replayed, batch: Any) -> Work:
    compiled = torch.compile(network)
    compiled(batch)
    return lambda: compiled(batch)


def _engine(torch: Any, part: str, data: bytes, flavour: str, batch: Any) -> tuple[Work, Any]:
    """The engine's call on PyTorch's arrays and stream, and where its features go."""
    from l2l_engine.backends.tensorrt import (  # noqa: PLC0415
        TensorRTBuilder,
        TensorRTEncoder,
        load_library,
    )
    from l2l_engine.errors import DeviceError  # noqa: PLC0415

    try:
        load_library(flavour)  # type: ignore[arg-type]
    except DeviceError as error:
        raise NotRunError(str(error)) from None
    dtype = np.uint8 if part == "image" else np.float32
    engine = TensorRTBuilder(flavour).build(f"{part}.fp16", data, dtype=dtype, batch=PROFILE)  # type: ignore[arg-type]
    encoder = TensorRTEncoder(f"{flavour}.{part}", engine, dtype=dtype, flavour=flavour)  # type: ignore[arg-type]
    worker = encoder.worker()
    features = torch.empty(BATCH, encoder.features, device="cuda")
    source = View(batch.data_ptr(), tuple(batch.shape), np.dtype(dtype), batch)
    target = View(features.data_ptr(), tuple(features.shape), np.dtype(np.float32), features)

    def work() -> object:
        return worker.enqueue(source, target, torch.cuda.current_stream().cuda_stream)

    return work, features


class Replayed:
    """The ONNX graph of an encoder in PyTorch's own functions, so that both have the same weights."""

    def __init__(self, torch: Any, data: bytes, *, device: str = "cuda") -> None:
        import onnx  # noqa: PLC0415
        from onnx import numpy_helper  # noqa: PLC0415

        model = onnx.load_from_string(data)
        self._torch, self._nodes = torch, []
        self._constants = {
            tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()).to(device)
            for tensor in model.graph.initializer
        }
        self._source = model.graph.input[0].name
        for node in model.graph.node:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            self._nodes.append((node.op_type, tuple(node.input), node.output[0], attributes))
        # Shapes are known beforehand: reading them from the device would wait for it.
        self._shapes = {
            name: tuple(value.tolist())
            for name, value in self._constants.items()
            if value.dtype == torch.int64
        }

    def __call__(self, batch: Any) -> Any:
        values = {**self._constants, self._source: batch}
        for kind, inputs, output, attributes in self._nodes:
            values[output] = self._apply(kind, [values[name] for name in inputs], inputs, attributes)
        return values[output]

    def _apply(self, kind: str, x: list[Any], names: tuple[str, ...], a: dict[str, Any]) -> Any:
        torch = self._torch
        functional = torch.nn.functional
        if kind == "Cast":
            return x[0].to({1: torch.float32, 10: torch.float16}[a["to"]])
        if kind == "Conv":
            pads = a["pads"][: len(a["pads"]) // 2]
            # A 1-D one, of the spectrum, has no bias.
            convolve = functional.conv1d if x[1].dim() == 3 else functional.conv2d
            return convolve(x[0], x[1], x[2] if len(x) > 2 else None, stride=a["strides"], padding=pads)
        if kind == "Reshape":
            return x[0].reshape(self._shapes[names[1]])
        if kind == "MaxPool":
            return functional.max_pool2d(x[0], a["kernel_shape"], a["strides"], a["pads"][:2])
        simple: dict[str, Callable[[], Any]] = {
            "Transpose": lambda: x[0].permute(*a["perm"]),
            "Relu": x[0].relu,
            "Add": lambda: x[0] + x[1],
            "Mul": lambda: x[0] * x[1],
            "MatMul": lambda: x[0] @ x[1],
            "Log": x[0].log,
            "Flatten": lambda: x[0].flatten(1),
            "GlobalAveragePool": lambda: x[0].mean((2, 3), keepdim=True),
        }
        return simple[kind]()

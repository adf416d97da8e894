"""Encoders on the CPU, by OpenVINO."""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine.backends.builder import Batch, require_self_contained
from l2l_engine.backends.encoder import Encode
from l2l_engine.errors import DeviceError, PlanError

# OpenVINO tells its makers of every import, over the network and from a forked process. Without this package
# it falls back on a stub of its own, and nothing is told to anybody.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

try:
    import openvino as ov
except ModuleNotFoundError as missing:
    if missing.name != "openvino":
        raise
    # Of the runtime, the CPU alone has a use for it.
    raise DeviceError(
        "device='cpu' needs OpenVINO, which is not installed: pip install openvino"
    ) from missing

# OpenVINO fills a table when types are first turned into dtypes, and two threads that are the first at once
# wait for each other for ever. A module is imported by one.
ov.Type.f32.to_dtype()

_PRECISIONS = {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}
_HINTS = {name: hint for hint, name in _PRECISIONS.items()}

_reading = threading.Lock()
"""Held while a graph is parsed: that takes several times its size for a moment, so one at a time."""


class OpenVINOEncoder:
    """One ONNX graph compiled for the CPU.

    It runs in the thread that calls ``encode``, and never in another: a thread that handed its batch to one
    of OpenVINO's would wait for it to be woken, mostly on a processor where something else runs. OpenVINO
    does so only with one stream, so there is a compiled network for each thread that is inside ``encode`` at
    the same time, made when it is first needed. Each holds its own packed weights.

    Args:
        name: The graph's name in the plan, for messages.
        graph: ONNX bytes: one input [B, ...] of ``dtype``, one output [B, D].
        dtype: What the graph must take.
        engine: What :class:`OpenVINOBuilder` built from the graph, to save compiling it. It is as good as
            code: OpenVINO does not check it.
        arithmetic: "fp32" or "bf16" for what the graph does not fix; by default the fastest the CPU has.

    Raises:
        PlanError: If the graph is none, reads other files, or takes or gives something else.
    """

    def __init__(
        self,
        name: str,
        graph: bytes,
        *,
        dtype: type[np.generic],
        engine: bytes | None = None,
        arithmetic: str | None = None,
    ) -> None:
        require_self_contained(name, graph)
        config: dict[str, Any] = {
            "INFERENCE_NUM_THREADS": 1,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # a thread that also decodes goes where there is room
        }
        if arithmetic is not None:
            config["INFERENCE_PRECISION_HINT"] = _HINTS[arithmetic]
        core = ov.Core()
        try:
            if engine is None:
                with _reading:
                    model = core.read_model(graph)
                _check_interface(name, model, dtype)
                self._compile = functools.partial(core.compile_model, model, "CPU", config)
                self._compiled = self._compile()
            else:
                self._compile = functools.partial(core.import_model, engine, "CPU", config)
                self._compiled = self._compile()
                _check_interface(name, self._compiled, dtype)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            what = "cannot be compiled" if engine is None else "has an engine that cannot be loaded"
            raise PlanError(f"graph.{name} {what}: {reason}") from error
        self._idle = [_Replica(self._compile, self._compiled.create_infer_request())]
        self._lock = threading.Lock()
        taken, given = self._compiled.input(0).partial_shape, self._compiled.output(0).partial_shape
        self._input_shape = tuple(int(side.get_length()) for side in list(taken)[1:])
        self._features = int(given[1].get_length())
        hint: str = self._compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        self._precision = "int8" if name.endswith(".int8") else _PRECISIONS.get(hint, hint)

    @property
    def precision(self) -> str:
        """The arithmetic really used: "fp32", "bf16" or "int8"."""
        return self._precision

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample, without the batch axis."""
        return self._input_shape

    @property
    def features(self) -> int:
        """Length D of the feature."""
        return self._features

    def export(self) -> bytes:
        """The engine, for :class:`OpenVINOEncoder` to load again."""
        data: bytes = self._compiled.export_model().getvalue()
        return data

    def encode(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Features float32 [B, D] of a batch [B, ...]. Releases the GIL; safe from many threads."""
        with self.replicas(1) as (encode,):
            return encode(batch)

    @contextlib.contextmanager
    def replicas(self, count: int) -> Iterator[list[Encode]]:
        """Hold ``count`` replicas of the network: each is an ``encode`` of its own, for one thread at a time.

        One that was never needed before is compiled when it first runs.
        """
        with self._lock:
            held = [self._idle.pop() if self._idle else _Replica(self._compile) for _ in range(count)]
        try:
            yield [replica.encode for replica in held]
        finally:
            with self._lock:
                self._idle.extend(replica for replica in held if replica.compiled)


class _Replica:
    """A compiled network, from when it is first run."""

    def __init__(self, compile_model: Callable[[], Any], request: Any = None) -> None:
        self._compile, self._request = compile_model, request

    @property
    def compiled(self) -> bool:
        return self._request is not None

    def encode(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        if self._request is None:
            self._request = self._compile().create_infer_request()
        self._request.infer([np.ascontiguousarray(batch)], share_inputs=True)
        return np.array(self._request.get_output_tensor(0).data, np.float32)


def has_bf16() -> bool:
    """Whether this CPU multiplies bf16 natively."""
    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVINOBuilder:
    """Builds engines for this machine's CPU; see :class:`l2l_engine.backends.builder.Builder`."""

    name = "openvino"
    any_batch = True

    @property
    def version(self) -> str:
        """Version of OpenVINO."""
        return str(ov.get_version())

    @property
    def device(self) -> str:
        """The processor and the arithmetic it has."""
        core = ov.Core()
        abilities = sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
        return f"{core.get_property('CPU', 'FULL_DEVICE_NAME').strip()} ({', '.join(abilities)})"

    def build(self, name: str, graph: bytes, *, dtype: type[np.generic], batch: Batch | None) -> bytes:
        """The engine of one graph; ``batch`` must be None."""
        assert batch is None
        return OpenVINOEncoder(name, graph, dtype=dtype).export()


def _check_interface(name: str, model: Any, dtype: type[np.generic]) -> None:
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise PlanError(f"graph.{name} must have one input and one output")
    found = model.input(0).get_element_type().to_dtype()
    if found != np.dtype(dtype):
        raise PlanError(f"graph.{name} takes {found}, expected {np.dtype(dtype)}")
    shape, output = list(model.input(0).partial_shape), list(model.output(0).partial_shape)
    if not shape or shape[0].is_static or any(side.is_dynamic for side in shape[1:]):
        raise PlanError(f"graph.{name} must have a free batch axis and no other")
    if len(output) != 2 or output[1].is_dynamic:
        raise PlanError(f"graph.{name} must give features [B, D]")

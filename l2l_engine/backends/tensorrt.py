"""Encoders by TensorRT, in its two flavours, whose Python interfaces are almost the same.

``tensorrt_rtx`` builds engines on any machine, and its builds are tested so. Running an engine takes a GPU:
that half is written against TensorRT's documentation and has not yet run on one.
"""

from __future__ import annotations

import importlib
import threading
from collections import deque
from functools import cache
from types import ModuleType
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from l2l_engine.backends.builder import Batch, require_self_contained
from l2l_engine.backends.device_array import DeviceArray, device_pointer
from l2l_engine.backends.gpu import find_gpu
from l2l_engine.errors import DeviceError, DeviceMemoryError, PlanError

Flavour = Literal["tensorrt", "tensorrt_rtx"]
FLAVOURS: tuple[Flavour, ...] = get_args(Flavour)

# What the documentation says of an engine that was built without naming a target.
_RTX_DEVICES = "sm80, sm86, sm89, sm120 and later"

# Of EngineInvalidityDiagnostics: the others, such as an unsupported GPU, no other engine would mend.
_ENGINES_FAULT = {"VERSION_MISMATCH", "MALFORMED_ENGINE"}


class _Package(NamedTuple):
    module: str
    remedy: str


_PACKAGES: dict[Flavour, _Package] = {
    "tensorrt": _Package("tensorrt", "pip install tensorrt-cu13, whose libraries NVIDIA's own index has"),
    "tensorrt_rtx": _Package(
        "tensorrt_rtx_bindings", "pip install tensorrt-rtx-cu13-libs tensorrt-rtx-cu13-bindings"
    ),
}


class Library(NamedTuple):
    """A flavour of TensorRT that could be imported, and where it writes its messages."""

    api: ModuleType
    log: Any

    def last_words(self) -> str:
        """The newest errors, for a message."""
        return "; ".join(self.log.errors) or "TensorRT does not say why"


@cache
def load_library(flavour: Flavour) -> Library:
    """Import a flavour of TensorRT.

    Raises:
        DeviceError: If the package or its libraries are missing; the message says which, and how to get it.
    """
    module, remedy = _PACKAGES[flavour]
    try:
        api = importlib.import_module(module)
    except ModuleNotFoundError as error:
        # A package of the flavour's own may be missing inside it, such as that of its libraries.
        missing = "is not installed" if error.name == module else f"lacks {error.name}"
        raise DeviceError(f"{flavour}: the package {module} {missing}: {remedy}") from error
    except (ImportError, OSError) as error:
        raise DeviceError(
            f"{flavour}: its libraries are missing or do not fit ({error}): {remedy}"
        ) from error
    if not hasattr(api, "Builder"):
        raise DeviceError(f"{flavour}: the package {module} is there, but empty: {remedy}")
    # TensorRT keeps the first log it is given for the life of the process.
    return Library(api, _make_log(api))


def _make_log(api: ModuleType) -> Any:
    class Log(api.ILogger):  # type: ignore[misc, name-defined]
        """Keeps the newest errors of this flavour."""

        def __init__(self) -> None:
            super().__init__()
            self.errors: deque[str] = deque(maxlen=3)

        def log(self, severity: Any, message: str) -> None:
            if severity <= api.ILogger.Severity.ERROR:
                self.errors.append(message.strip().splitlines()[0])

    return Log()


class TensorRTBuilder:
    """Builds engines; see :class:`l2l_engine.backends.builder.Builder`.

    Args:
        flavour: "tensorrt", which needs the GPU it builds for, or "tensorrt_rtx", which needs none.

    Raises:
        DeviceError: If the flavour is not installed.
    """

    any_batch = False

    def __init__(self, flavour: Flavour) -> None:
        self._library = load_library(flavour)
        self._flavour = flavour

    @property
    def name(self) -> str:
        """The flavour."""
        return self._flavour

    @property
    def version(self) -> str:
        """Version of TensorRT."""
        return str(self._library.api.__version__)

    @property
    def device(self) -> str:
        """The GPU of this machine, or for "tensorrt_rtx" all that it builds for at once.

        Raises:
            DeviceError: If a GPU is needed and cannot be used.
        """
        return _RTX_DEVICES if self._flavour == "tensorrt_rtx" else str(find_gpu())

    def build(self, name: str, graph: bytes, *, dtype: type[np.generic], batch: Batch | None) -> bytes:
        """The engine of one graph, of exactly the precision the graph has."""
        require_self_contained(name, graph)
        assert batch is not None
        if self._flavour == "tensorrt":
            find_gpu()
        api, log = self._library
        log.errors.clear()
        builder = api.Builder(log)
        network = builder.create_network(1 << int(api.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = api.OnnxParser(network, log)
        if not parser.parse(graph):
            reasons = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))
            raise PlanError(f"graph.{name} is not taken by {self._flavour}: {reasons}")
        if (network.num_inputs, network.num_outputs) != (1, 1):
            raise PlanError(f"graph.{name} must have one input and one output")
        source, features = network.get_input(0), network.get_output(0)
        _check_interface(f"graph.{name}", api, source, features, dtype)
        config, profile = builder.create_builder_config(), builder.create_optimization_profile()
        profile.set_shape(source.name, *[(size, *tuple(source.shape)[1:]) for size in batch])
        if config.add_optimization_profile(profile) < 0:
            raise PlanError(f"graph.{name} cannot be built for batches {batch}: {self._library.last_words()}")
        engine = builder.build_serialized_network(network, config)
        if engine is None:
            raise PlanError(f"graph.{name} cannot be built by {self._flavour}: {self._library.last_words()}")
        return bytes(engine)


class TensorRTEncoder:
    """One engine on the GPU. Written against the documentation; not yet run on a GPU.

    May be used by many threads; each makes a :meth:`worker` of its own.

    Args:
        name: The engine's name in the plan, for messages.
        engine: What :class:`TensorRTBuilder` built, or a section that is trusted: it is as good as code.
        dtype: What it must take.
        flavour: Of TensorRT.

    Raises:
        DeviceError: If TensorRT, the driver or the GPU is missing, unsupported, or out of memory.
        PlanError: If the engine is damaged, for another version, or takes or gives something else.
    """

    def __init__(self, name: str, engine: bytes, *, dtype: type[np.generic], flavour: Flavour) -> None:
        self._library = load_library(flavour)
        find_gpu()
        api, log = self._library
        log.errors.clear()
        self._name = name
        self._runtime = api.Runtime(log)  # must live as long as the engine
        self._engine = self._runtime.deserialize_cuda_engine(engine)
        if self._engine is None:
            raise self._refusal(engine)
        source, features = self._tensors()
        _check_interface(f"compiled.{name}", api, source, features, dtype)
        self._source, self._features = source, features
        least, _, most = self._engine.get_tensor_profile_shape(source.name, 0)
        self._batch = range(least[0], most[0] + 1)
        self._dtype = np.dtype(dtype)
        self._lock = threading.Lock()

    def _refusal(self, engine: bytes) -> Exception:
        """Whether the engine is at fault, which building it anew would mend, or this machine."""
        api, runtime = self._library.api, self._runtime
        reasons = []
        if hasattr(runtime, "get_engine_validity"):  # of tensorrt_rtx alone
            _, bits = runtime.get_engine_validity(engine)
            known = api.EngineInvalidityDiagnostics.__members__.items()
            reasons = [name for name, bit in known if bits & int(bit)]
        words = (
            f"{', '.join(reasons)}: {self._library.last_words()}" if reasons else self._library.last_words()
        )
        kind = DeviceError if set(reasons) - _ENGINES_FAULT else PlanError
        return kind(f"compiled.{self._name} cannot be loaded: {words}")

    def _tensors(self) -> tuple[_EngineTensor, _EngineTensor]:
        """What goes in, and the features."""
        engine, mode = self._engine, self._library.api.TensorIOMode
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        sources = [name for name in names if engine.get_tensor_mode(name) == mode.INPUT]
        outputs = [name for name in names if engine.get_tensor_mode(name) == mode.OUTPUT]
        if (len(sources), len(outputs)) != (1, 1):
            raise PlanError(f"compiled.{self._name} must have one input and one output")
        return _EngineTensor(engine, sources[0]), _EngineTensor(engine, outputs[0])

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample, without the batch axis."""
        return tuple(self._source.shape)[1:]

    @property
    def features(self) -> int:
        """Length D of the feature."""
        return int(self._features.shape[1])

    @property
    def batch(self) -> range:
        """Samples a call may have."""
        return self._batch

    def worker(self) -> TensorRTWorker:
        """An execution context, for one thread and one stream at a time.

        Raises:
            DeviceError: If it cannot be made; DeviceMemoryError when GPU memory runs out.
        """
        with self._lock:
            context = self._engine.create_execution_context()
        if context is None:
            words = self._library.last_words()
            kind = DeviceMemoryError if "memory" in words.lower() else DeviceError
            raise kind(f"compiled.{self._name} cannot be started: {words}")
        return TensorRTWorker(self, context)


class TensorRTWorker:
    """Runs one engine on streams, without waiting for them."""

    def __init__(self, encoder: TensorRTEncoder, context: Any) -> None:
        self._encoder = encoder  # keeps engine and runtime alive
        self._context = context

    def enqueue(self, batch: DeviceArray, features: DeviceArray, stream: int) -> None:
        """Put one call on a stream; both arrays must stay alive until the stream has passed it.

        Args:
            batch: [B, ...] in GPU memory, contiguous.
            features: float32 [B, D] in GPU memory, contiguous; written.
            stream: Handle of a CUDA stream.

        Raises:
            TypeError, ValueError: If an array has another dtype, shape or layout, or B is out of range.
            DeviceError: If TensorRT does not take the call.
        """
        encoder = self._encoder
        source = device_pointer("batch", batch, encoder._dtype, (-1, *encoder.input_shape))
        count = int(batch.__cuda_array_interface__["shape"][0])
        if count not in encoder.batch:
            sizes = f"{encoder.batch.start} to {encoder.batch.stop - 1}"
            raise ValueError(f"batch has {count} samples, the engine takes {sizes}")
        target = device_pointer("features", features, np.dtype(np.float32), (count, encoder.features))
        context, names = self._context, (encoder._source.name, encoder._features.name)
        encoder._library.log.errors.clear()
        taken = (
            context.set_input_shape(names[0], (count, *encoder.input_shape))
            and context.set_tensor_address(names[0], source)
            and context.set_tensor_address(names[1], target)
            and context.execute_async_v3(stream)
        )
        if not taken:
            raise DeviceError(f"compiled.{encoder._name} does not run: {encoder._library.last_words()}")


class _EngineTensor:
    """A tensor of an engine, described as the builder describes one."""

    def __init__(self, engine: Any, name: str) -> None:
        self.name = name
        self.shape = tuple(engine.get_tensor_shape(name))
        self.dtype = engine.get_tensor_dtype(name)


def _check_interface(name: str, api: ModuleType, source: Any, features: Any, dtype: type[np.generic]) -> None:
    found = np.dtype(api.nptype(source.dtype))
    if found != np.dtype(dtype):
        raise PlanError(f"{name} takes {found}, expected {np.dtype(dtype)}")
    shape, output = tuple(source.shape), tuple(features.shape)
    if not shape or shape[0] != -1 or min(shape[1:], default=1) < 1:
        raise PlanError(f"{name} must have a free batch axis and no other")
    if len(output) != 2 or output[1] < 1 or features.dtype != api.float32:
        raise PlanError(f"{name} must give float32 features [B, D]")

"""Encoders by TensorRT on a GPU. Written against its documentation; not yet run on a GPU."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from l2l_engine.backends.gpu import find_gpu
from l2l_engine.backends.tensorrt import PACKAGES, Flavour, check_interface, load_library
from l2l_engine.cuda.arrays import SharedArray, device_pointer
from l2l_engine.errors import DeviceError, DeviceMemoryError, PlanError

# Of EngineInvalidityDiagnostics: the others, such as an unsupported GPU, no other engine would mend.
_ENGINES_FAULT = {"VERSION_MISMATCH", "MALFORMED_ENGINE"}


class TensorRTEncoder:
    """One engine on the GPU.

    May be used by many threads; each makes a :meth:`worker` of its own.

    Args:
        name: The engine's name in the plan, for messages.
        engine: What :class:`TensorRTBuilder` built, or a section that is trusted: it is as good as code.
        dtype: What it must take.
        flavour: Which TensorRT runs it.

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
        check_interface(f"compiled.{name}", api, source, features, dtype)
        self._source, self._features = source, features
        least, _, most = self._engine.get_tensor_profile_shape(source.name, 0)
        self._batch = range(least[0], most[0] + 1)
        self._dtype = np.dtype(dtype)
        self._lock = threading.Lock()

    def _refusal(self, engine: bytes) -> Exception:
        """Whether the engine is at fault, which building it anew would mend, or this machine."""
        api, runtime = self._library.api, self._runtime
        kind: type[Exception]
        reasons = []
        if hasattr(runtime, "get_engine_validity"):  # of tensorrt_rtx alone
            _, bits = runtime.get_engine_validity(engine)
            known = api.EngineInvalidityDiagnostics.__members__.items()
            reasons = [name for name, bit in known if bits & int(bit)]
        words = (
            f"{', '.join(reasons)}: {self._library.last_words()}" if reasons else self._library.last_words()
        )
        if "UNSUPPORTED_CC" in reasons:
            words += f"; for GPUs that it does not take: {PACKAGES['tensorrt'].remedy}"
        kind = DeviceError if set(reasons) - _ENGINES_FAULT else PlanError
        if _is_memory(words) and _ENGINES_FAULT.isdisjoint(reasons):
            kind = DeviceMemoryError
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

    @property
    def alignment(self) -> int:
        """Bytes that a batch has to begin on a multiple of: what memory of CUDA's own begins on."""
        return 256

    def worker(self) -> TensorRTWorker:
        """An execution context, for one thread and one stream at a time.

        Raises:
            DeviceError: If it cannot be made; DeviceMemoryError when GPU memory runs out.
        """
        with self._lock:
            context = self._new_context()
        if context is None:
            raise self._failure("cannot be started")
        return TensorRTWorker(self, context)

    def _new_context(self) -> Any:
        strategies = getattr(self._library.api, "DynamicShapesKernelSpecializationStrategy", None)
        if strategies is None:  # of tensorrt_rtx alone
            return self._engine.create_execution_context()
        config = self._engine.create_runtime_config()
        # Calls have few sizes, and a CUDA graph keeps the kernels it saw, makeshift ones that go later too.
        config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
        return self._engine.create_execution_context(runtime_config=config)

    def _failure(self, what: str) -> DeviceError:
        words = self._library.last_words()
        kind = DeviceMemoryError if _is_memory(words) else DeviceError
        return kind(f"compiled.{self._name} {what}: {words}")


class TensorRTWorker:
    """Runs one engine on streams, without waiting for them."""

    def __init__(self, encoder: TensorRTEncoder, context: Any) -> None:
        self._encoder = encoder  # keeps engine and runtime alive
        self._context = context

    def enqueue(self, batch: SharedArray, features: SharedArray, stream: int) -> None:
        """Put one call on a stream; both arrays must stay alive until the stream has passed it.

        Args:
            batch: [B, ...] in GPU memory, contiguous.
            features: float32 [B, D] in GPU memory, contiguous; written.
            stream: Handle of a CUDA stream.

        Raises:
            TypeError, ValueError: If an array has another dtype, shape or layout, or B is out of range.
            DeviceError: If TensorRT does not take the call; DeviceMemoryError when GPU memory runs out.
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
            raise encoder._failure("does not run")


class _EngineTensor:
    """A tensor of an engine, described as the builder describes one."""

    def __init__(self, engine: Any, name: str) -> None:
        self.name = name
        self.shape = tuple(engine.get_tensor_shape(name))
        self.dtype = engine.get_tensor_dtype(name)


def _is_memory(words: str) -> bool:
    return "memory" in words.lower()

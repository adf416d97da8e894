"""Engines of TensorRT, in its two flavours, whose Python interfaces are almost the same.

``tensorrt_rtx`` builds engines on any machine, and its builds are tested so. Running them takes a GPU; see
:mod:`l2l_engine.backends.tensorrt_encoder`.
"""

from __future__ import annotations

import importlib
from collections import deque
from functools import cache
from types import ModuleType
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from l2l_engine.backends.builder import Batch, require_self_contained
from l2l_engine.backends.gpu import find_gpu
from l2l_engine.errors import DeviceError, PlanError

Flavour = Literal["tensorrt", "tensorrt_rtx"]
FLAVOURS: tuple[Flavour, ...] = get_args(Flavour)

# What the documentation says of an engine that was built without naming a target.
_RTX_DEVICES = "sm80, sm86, sm89, sm120 and later"


class _Package(NamedTuple):
    module: str
    remedy: str


PACKAGES: dict[Flavour, _Package] = {
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
    module, remedy = PACKAGES[flavour]
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
        gpu: The number of that GPU, which is the calling thread's while it builds.

    Raises:
        DeviceError: If the flavour is not installed.
    """

    any_batch = False

    def __init__(self, flavour: Flavour, *, gpu: int = 0) -> None:
        self._library = load_library(flavour)
        self._flavour, self._gpu = flavour, gpu

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
        return _RTX_DEVICES if self._flavour == "tensorrt_rtx" else str(find_gpu(self._gpu))

    def build(self, name: str, graph: bytes, *, dtype: type[np.generic], batch: Batch | None) -> bytes:
        """The engine of one graph, of exactly the precision the graph has."""
        require_self_contained(name, graph)
        assert batch is not None
        if self._flavour == "tensorrt":
            find_gpu(self._gpu)
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
        check_interface(f"graph.{name}", api, source, features, dtype)
        config, profile = builder.create_builder_config(), builder.create_optimization_profile()
        profile.set_shape(source.name, *[(size, *tuple(source.shape)[1:]) for size in batch])
        if config.add_optimization_profile(profile) < 0:
            raise PlanError(f"graph.{name} cannot be built for batches {batch}: {self._library.last_words()}")
        # On by default: an engine that calls itself fp32 would round to 10 bits of mantissa.
        config.clear_flag(api.BuilderFlag.TF32)
        if hasattr(api.BuilderFlag, "REQUIRE_USER_ALLOCATION"):
            # Of tensorrt_rtx: without it an engine may allocate while it runs, which no CUDA graph can hold.
            config.set_flag(api.BuilderFlag.REQUIRE_USER_ALLOCATION)
        engine = builder.build_serialized_network(network, config)
        if engine is None:
            raise PlanError(f"graph.{name} cannot be built by {self._flavour}: {self._library.last_words()}")
        return bytes(engine)


def check_interface(name: str, api: ModuleType, source: Any, features: Any, dtype: type[np.generic]) -> None:
    """Refuse what does not take [B, ...] of ``dtype`` and give float32 features [B, D].

    Raises:
        PlanError: If so, naming ``name``.
    """
    found = np.dtype(api.nptype(source.dtype))
    if found != np.dtype(dtype):
        raise PlanError(f"{name} takes {found}, expected {np.dtype(dtype)}")
    shape, output = tuple(source.shape), tuple(features.shape)
    if not shape or shape[0] != -1 or min(shape[1:], default=1) < 1:
        raise PlanError(f"{name} must have a free batch axis and no other")
    if len(output) != 2 or output[1] < 1 or features.dtype != api.float32:
        raise PlanError(f"{name} must give float32 features [B, D]")

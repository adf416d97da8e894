"""From a plan to networks that run: which device, how many threads, which encoders."""

from __future__ import annotations

import ctypes
import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal, get_args

from l2l_engine.arguments import one_of, positive
from l2l_engine.backends import INPUTS, ReplicatedEncoder, load_engine, require_fit
from l2l_engine.errors import DeviceError, PlanError
from l2l_engine.machine import processors
from l2l_engine.media import DEFAULT_LIMITS, Limits
from l2l_engine.plan import Plan, runnable_weights
from l2l_engine.run.compute import Compute
from l2l_engine.run.cpu import CpuCompute
from l2l_engine.run.pipeline import Pipeline
from l2l_engine.skim import Skimmer, SkimmingModel
from l2l_engine.skim.averaging import Averager
from l2l_engine.skim.evidence import EvidencePooler
from l2l_engine.skim.tagging import Tagger

Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
_NUMBERED = re.compile(r"cuda:([0-9]{1,3})")
_log = logging.getLogger("l2l_engine")


def resolve_device(device: str) -> str:
    """The device that will do the work: "cpu", "cuda" for the first GPU, or e.g. "cuda:1" for the second.

    Raises:
        ValueError: If ``device`` is no device at all.
        DeviceError: If it is one, but cannot be used; a GPU that was asked for is never replaced silently.
    """
    # "auto" stays with the CPU until the GPU's pipeline has run on a GPU.
    if numbered := _NUMBERED.fullmatch(str(device)):
        number = int(numbered[1])
        return f"cuda:{number}" if number else "cuda"
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device must be one of 'auto', 'cpu', 'cuda', 'cuda:1' and so on, not {device!r}")
    return "cuda" if device == "cuda" else "cpu"


def load_pipeline(
    plan: Plan,
    *,
    device: str,
    threads: int,
    precision: Precision = "auto",
    trust_compiled: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> Pipeline:
    """All that predicts by a plan, on a device that :func:`resolve_device` gave.

    Raises:
        PlanError, DeviceError, ValueError: As :func:`load_encoders`.
    """
    one_of("precision", precision, get_args(Precision))
    if device != "cpu":
        from l2l_engine.gpu.loading import load_cuda  # noqa: PLC0415 - the CPU's path has no use for it

        compute: Compute = load_cuda(
            plan,
            number=int(device.partition(":")[2] or 0),
            threads=threads,
            precision=precision,
            trust_compiled=trust_compiled,
        )
    else:
        networks = load_networks(plan, threads, trust_compiled=trust_compiled, precision=precision)
        compute = CpuCompute(plan, *networks)
    return Pipeline(plan, compute, threads=threads, limits=limits)


def thread_budget(threads: int | None) -> int:
    """Threads to use: those asked for, or the processors this process may run on."""
    return processors() if threads is None else positive("threads", threads)


def load_networks(
    plan: Plan, threads: int, *, trust_compiled: bool = False, precision: Precision = "auto"
) -> tuple[dict[str, ReplicatedEncoder], SkimmingModel]:
    """``load_encoders`` and ``load_skimmer`` at once."""
    with ThreadPoolExecutor(1) as pool:
        skimmer = pool.submit(load_skimmer, plan, threads, precision)
        encoders = load_encoders(plan, threads, trust_compiled=trust_compiled, precision=precision)
        networks = encoders, skimmer.result()
    _give_memory_back()
    return networks


def _give_memory_back() -> None:
    """Compiling takes much memory for a moment, which the C library of Linux would keep for later."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def load_encoders(
    plan: Plan, threads: int, *, trust_compiled: bool = False, precision: Precision = "auto"
) -> dict[str, ReplicatedEncoder]:
    """Compile the plan's graphs, or load the engines it has for them, and check that they fit its settings.

    Args:
        plan: A verified plan.
        threads: Processor threads to use.
        trust_compiled: Use compiled sections that this machine did not build.
        precision: "fp32"; "bf16", the fp32 graphs with bf16 arithmetic; "int8", the graphs quantised at
            export; "auto" for bf16 where the CPU has it, else fp32: never int8, which costs accuracy.

    Raises:
        PlanError: If a graph does not compile or takes or gives something the plan does not say, or the
            plan has no int8 graphs.
        DeviceError: If this CPU has no bf16 arithmetic.
        ValueError: If ``precision`` is none of these.
    """
    begin = time.perf_counter()
    # Costs a third of a second, so that it is not imported with the package.
    from l2l_engine.backends.openvino import OpenVINOBuilder, OpenVINOEncoder, has_bf16  # noqa: PLC0415

    one_of("precision", precision, get_args(Precision))
    if precision == "fp16":
        raise DeviceError("precision='fp16' is for device='cuda'; on the CPU use 'auto', 'fp32' or 'bf16'")
    if precision == "bf16" and not has_bf16():
        raise DeviceError("precision='bf16' is not available: this CPU has no bf16 arithmetic; use 'auto'")
    arithmetic = precision if precision in {"fp32", "bf16"} else None

    def load(part: str) -> ReplicatedEncoder:
        name = f"{part}.int8" if precision == "int8" else f"{part}.fp32"
        if name not in plan.graphs:
            raise PlanError(
                f"{plan.path}: graph.{name} is missing: the plan was exported without int8 graphs"
            )
        compile_graph = partial(
            OpenVINOEncoder,
            name,
            plan.graphs[name],
            dtype=INPUTS[part],
            arithmetic=arithmetic,
        )
        try:
            # Engines are built with the arithmetic of "auto".
            if f"openvino.{part}" in plan.compiled and arithmetic is None:
                builder = OpenVINOBuilder()
                loaded = load_engine(plan, name, builder, compile_graph, trusted=trust_compiled)
                encoder: ReplicatedEncoder = loaded[0]
            else:
                encoder = compile_graph()
            require_fit(plan, name, encoder.input_shape, encoder.features)
        except PlanError as error:
            raise PlanError(f"{plan.path}: {error}") from error
        return encoder

    parts = plan.document.parts
    with ThreadPoolExecutor(threads) as pool:
        encoders = dict(zip(parts, pool.map(load, parts), strict=True))
    _log.info("%s: networks loaded in %.2f s", plan.path, time.perf_counter() - begin)
    return encoders


def load_skimmer(plan: Plan, threads: int, precision: Precision = "fp32") -> SkimmingModel:
    """The native skimmer with the plan's weights, or what stands in its place for a plan without one.

    It waits for its weights more than for anything else, so they are stored in half the space where the CPU
    multiplies bf16, unless ``precision`` is "fp32".
    """
    settings = plan.document.skim
    weights = runnable_weights(plan.document, plan.skim)
    if settings.preset == "clip":
        return Averager(weights)
    if plan.document.tags is not None:
        tags = plan.document.tags
        return Tagger({part: (tags[part].output, len(tags[part].names)) for part in plan.document.modalities})
    if settings.preset == "evidence":
        return EvidencePooler(weights)
    return Skimmer(
        weights,
        key_activation=settings.key_activation,  # type: ignore[arg-type]  # checked by the plan
        exclude_previous_argmax=settings.exclude_previous_argmax,
        precision="fp32" if precision == "fp32" else "auto",
        threads=threads,
    )

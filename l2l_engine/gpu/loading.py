"""From a plan to networks on a GPU: which TensorRT, which graphs, and what is missing where something is."""

from __future__ import annotations

import logging
import time
from functools import partial

from l2l_engine.backends import INPUTS, load_engine, require_fit
from l2l_engine.backends.gpu import find_gpu
from l2l_engine.backends.tensorrt import FLAVOURS, Flavour, TensorRTBuilder, load_library
from l2l_engine.backends.tensorrt_encoder import TensorRTEncoder
from l2l_engine.cuda import CudaSkimmer
from l2l_engine.cuda import why_not as why_no_cuda
from l2l_engine.errors import DeviceError, DeviceLostError, PlanError
from l2l_engine.gpu.compute import CudaCompute
from l2l_engine.gpu.device import Device, device_name
from l2l_engine.gpu.driver import CudaDevice
from l2l_engine.gpu.encoding import DeviceEncoder
from l2l_engine.gpu.frames import Decoders
from l2l_engine.gpu.kernels import CudaKernels, Kernels
from l2l_engine.gpu.pool import Pool
from l2l_engine.media.dali import ON_GPU, load_dali
from l2l_engine.plan import Plan, runnable_weights
from l2l_engine.skim import SkimmingModel
from l2l_engine.skim.averaging import Averager
from l2l_engine.skim.evidence import EvidencePooler

_DECODERS = 2
_log = logging.getLogger("l2l_engine")


def why_not(number: int = 0) -> str | None:
    """What keeps predictions from running on a GPU here, each with its remedy; None where nothing does.

    Args:
        number: Which GPU, counted from 0.

    Raises:
        DeviceLostError: The GPU is lost to this process, which is no reason to take another way.
    """
    reasons = [
        reason for reason in (_missing_gpu(number), why_no_cuda(number), _missing_tensorrt()) if reason
    ]
    return "; ".join(dict.fromkeys(reasons)) or None


def load_cuda(
    plan: Plan,
    *,
    number: int = 0,
    threads: int,
    precision: str = "auto",
    trust_compiled: bool = False,
) -> CudaCompute:
    """All that predicts by a plan on one GPU.

    Args:
        plan: A verified plan.
        number: Which GPU, counted from 0.
        threads: Processor threads to use.
        precision: Of the graphs: "fp16", "fp32" or "int8"; "auto" for fp16 if the plan has it, else fp32.
        trust_compiled: Use compiled sections that this machine did not build.

    Raises:
        DeviceError: If something is missing, or the GPU fails; DeviceMemoryError if its memory is short.
        PlanError: If the plan has no such graphs, or they cannot be built.
    """
    begin = time.perf_counter()
    if plan.document.tags is not None:
        raise DeviceError(f"device={device_name(number)!r} is not for a plan of tags yet; use 'cpu'")
    missing = why_not(number)
    if missing is not None:
        raise DeviceError(f"device={device_name(number)!r} is not available: {missing}; or use 'cpu'")
    precision = graph_precision(plan, precision)
    device = CudaDevice(number)
    with device.use():
        made = _load(plan, device, precision, threads, trust_compiled)
    _log.info("%s: networks loaded on %s in %.2f s", plan.path, device.name, time.perf_counter() - begin)
    return made


def _load(plan: Plan, device: Device, precision: str, threads: int, trusted: bool) -> CudaCompute:
    pool = Pool(device)
    encoders: dict[str, DeviceEncoder] = {}
    try:
        for part in plan.document.parts:
            network = _load_network(plan, part, precision, trusted, device.number)
            encoders[part] = DeviceEncoder(device, pool, network, dtype=INPUTS[part], precision=precision)
        kernels, host_skimmer = _load_skimmer(plan, device.number)
        media = plan.document.media
        decoders = Decoders(
            device,
            ON_GPU,
            missing=_missing_dali(),
            most=_DECODERS,
            short_side=media.short_side,
            crop=media.crop,
            threads=min(4, threads),
            number=device.number,
        )
        return CudaCompute(plan, device, pool, encoders, kernels, decoders, host_skimmer=host_skimmer)
    except BaseException:
        for encoder in encoders.values():
            encoder.close()
        raise


def graph_precision(plan: Plan, precision: str) -> str:
    """The precision of the graphs that are meant.

    Raises:
        DeviceError: If it is one that graphs do not have.
    """
    if precision == "bf16":
        raise DeviceError("precision='bf16' is for the CPU; on a GPU use 'fp16', 'fp32', 'int8' or 'auto'")
    if precision != "auto":
        return precision
    whole = all(f"{part}.fp16" in plan.graphs for part in plan.document.parts)
    return "fp16" if whole else "fp32"


def _load_network(plan: Plan, part: str, precision: str, trusted: bool, number: int) -> TensorRTEncoder:
    flavour = _flavour()
    builder = TensorRTBuilder(flavour, gpu=number)
    load = partial(TensorRTEncoder, f"{flavour}.{part}", dtype=INPUTS[part], flavour=flavour)
    network, _ = load_engine(
        plan, f"{part}.{precision}", builder, lambda *, engine: load(engine), trusted=trusted
    )
    try:
        require_fit(plan, f"{part}.{precision}", network.input_shape, network.features)
    except PlanError as error:
        raise PlanError(f"{plan.path}: {error}") from error
    return network


def _load_skimmer(plan: Plan, number: int) -> tuple[Kernels, SkimmingModel | None]:
    settings = plan.document.skim
    weights = runnable_weights(plan.document, plan.skim)
    sizes = plan.dimensions.feature, plan.dimensions.classes
    if settings.preset in ("clip", "evidence"):
        host = EvidencePooler(weights) if settings.preset == "evidence" else Averager(weights)
        return CudaKernels(None, sizes, number), host
    skimmer = CudaSkimmer(
        weights,
        key_activation=settings.key_activation,  # type: ignore[arg-type]  # checked by the plan
        exclude_previous_argmax=settings.exclude_previous_argmax,
        device=number,
    )
    return CudaKernels(skimmer, sizes, number), None


def _flavour() -> Flavour:
    for flavour in FLAVOURS:
        try:
            load_library(flavour)
        except DeviceError:
            continue
        return flavour
    raise DeviceError(_missing_tensorrt() or "TensorRT went away")


def _missing_gpu(number: int) -> str | None:
    try:
        find_gpu(number)
    except DeviceLostError:
        raise
    except DeviceError as error:
        return str(error)
    return None


def _missing_tensorrt() -> str | None:
    reasons = []
    for flavour in FLAVOURS:
        try:
            load_library(flavour)
        except DeviceError as error:
            reasons.append(str(error))
        else:
            return None
    return "one TensorRT is needed: " + "; or ".join(reasons)


def _missing_dali() -> str | None:
    try:
        load_dali()
    except DeviceError as error:
        _log.warning("frames are decoded on the CPU: %s", error)
        return str(error)
    return None

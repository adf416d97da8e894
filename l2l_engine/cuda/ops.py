"""The operations of :mod:`l2l_engine.ops` on CUDA devices."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from l2l_engine.cuda import native
from l2l_engine.cuda.arrays import Arguments
from l2l_engine.skim.inputs import SoftIndexInput, SoftIndexOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from l2l_engine._cuda import DeviceArray


def interpolate(
    features: Any, knot_times: Any, timestamps: Any, *, stream: object = None, out: Any = None
) -> DeviceArray:
    """:func:`l2l_engine.ops.interpolate` on the GPU that its arrays are on.

    Queued on ``stream``; nothing waits. Arrays on the host are checked and copied to the device. Of arrays
    on the device, sizes and types are checked; values are not, since that would have to wait for them: knots
    that do not increase give a wrong result, and nothing worse.

    Args:
        features: [B, M, D], float32, float16 or bfloat16.
        knot_times: [B, M] seconds, float64, strictly increasing.
        timestamps: [B, N] seconds, float64.
        stream: A handle or a stream object; the legacy default stream by default.
        out: [B, N, D], float32, on the device; new memory by default. With it the call can be captured in a
            CUDA graph.

    Raises:
        TypeError: An argument is of the wrong type or dtype; the message names it.
        ValueError: An argument is of the wrong shape, strided, or on another device; the message names it.
        DeviceError: The device fails, or the stream is being captured and memory would be needed.
        DeviceMemoryError: The device has not enough memory.
    """
    arguments = Arguments(stream)
    arguments.settle(features=features, knot_times=knot_times, timestamps=timestamps, out=out)
    bank = arguments.features("features", features)
    knots = arguments.times("knot_times", knot_times, knots=True)
    times = arguments.times("timestamps", timestamps)
    result: DeviceArray
    if out is None:
        # A wrong rank is refused below, by name.
        shape = ((*bank.shape, 0)[0], (*times.shape, 0, 0)[1], (*bank.shape, 0, 0, 0)[2])
        result = native.module().empty(shape, bank.device, arguments.stream)
    else:
        result = arguments.imported("out", out)
    native.module().interpolate(bank, knots, times, result, arguments.stream)
    return result


def gather(features: Any, order: Any, *, out: Any, stream: object = None) -> DeviceArray:
    """Rows in another order, queued on ``stream``: ``out[b, k] = features[b, order[b, k]]``.

    Args:
        features: [B, M, D], float32, float16 or bfloat16.
        order: [B, K], int64. On the device its values are not checked: for a number that no row has, the
            nearest that one has is taken.
        out: [B, K, D], float32, on the device.
        stream: A handle or a stream object; the legacy default stream by default.

    Returns:
        ``out``.

    Raises:
        TypeError: An argument is of the wrong type or dtype; the message names it.
        ValueError: An argument is of the wrong shape, strided, or on another device; the message names it.
        DeviceError: The device fails.
    """
    arguments = Arguments(stream)
    arguments.settle(features=features, order=order, out=out)
    bank = arguments.features("features", features)
    numbers = arguments.numbers("order", order, (*bank.shape, 0, 0)[1])
    result = arguments.imported("out", out)
    native.module().gather(bank, numbers, result, arguments.stream)
    return result


@dataclass(frozen=True, slots=True, eq=False)
class CudaSoftIndexResult:
    """:class:`l2l_engine.ops.SoftIndexResult` on the device."""

    image_features: DeviceArray
    audio_features: DeviceArray
    image_attention: DeviceArray
    audio_attention: DeviceArray


def soft_index(
    image_bank: Any,
    audio_bank: Any,
    image_times: Any,
    audio_times: Any,
    timestamps: Any,
    *,
    stream: object = None,
    **options: Unpack[SoftIndexOptions],
) -> CudaSoftIndexResult:
    """:func:`l2l_engine.ops.soft_index` on the GPU that its arrays are on; see there.

    Queued on ``stream``, as :func:`interpolate`. Queries and modality scores are float32, lengths int64. It
    allocates, so it cannot be captured in a CUDA graph; the skimmer, which does the same T times, can.

    Raises:
        TypeError: An argument is of the wrong type or dtype; the message names it.
        ValueError: An argument is of the wrong shape, strided, or on another device; the message names it.
        DeviceError: The device fails, or the stream is being captured.
        DeviceMemoryError: The device has not enough memory.
    """
    given = SoftIndexInput(image_bank, audio_bank, image_times, audio_times, timestamps, **options)
    call = Arguments(stream)
    call.settle(**{field.name: getattr(given, field.name) for field in fields(given)})
    return CudaSoftIndexResult(*native.module().soft_index(*given.taken(call), call.stream))

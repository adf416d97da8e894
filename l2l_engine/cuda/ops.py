"""The operations of :mod:`l2l_engine.ops` on CUDA devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from l2l_engine import _arrays
from l2l_engine.cuda import native
from l2l_engine.cuda.arrays import Arguments

if TYPE_CHECKING:
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
    image_query: Any,
    audio_query: Any,
    modality_scores: Any,
    image_lengths: Any = None,
    audio_lengths: Any = None,
    lengths: Any = None,
    image_excluded: Any = None,
    audio_excluded: Any = None,
    precision: Literal["fp32", "bf16", "fp16", "auto"] = "fp32",
    stream: object = None,
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
    _arrays.one_of("precision", precision, ("fp32", "bf16", "fp16", "auto"))
    call = Arguments(stream)
    call.settle(image_bank=image_bank, audio_bank=audio_bank, timestamps=timestamps)
    call.settle(image_times=image_times, audio_times=audio_times)
    call.settle(image_query=image_query, audio_query=audio_query, modality_scores=modality_scores)
    banks = [
        call.features("image_bank", image_bank, image_lengths),
        call.features("audio_bank", audio_bank, audio_lengths),
    ]
    knots = [
        call.times("image_times", image_times, image_lengths, knots=True),
        call.times("audio_times", audio_times, audio_lengths, knots=True),
    ]
    moments = call.times("timestamps", timestamps, lengths)
    most = [*(_extent(bank) for bank in banks), _extent(moments)]
    outputs = native.module().soft_index(
        banks,
        knots,
        moments,
        [call.features("image_query", image_query), call.features("audio_query", audio_query)],
        call.features("modality_scores", modality_scores),
        [
            call.lengths("image_lengths", image_lengths, most[0]),
            call.lengths("audio_lengths", audio_lengths, most[1]),
        ],
        call.lengths("lengths", lengths, most[2]),
        [call.mask("image_excluded", image_excluded), call.mask("audio_excluded", audio_excluded)],
        precision,
        call.stream,
    )
    return CudaSoftIndexResult(*outputs)


def _extent(array: DeviceArray) -> int:
    """Rows of a video; where there are none, which is refused later, no bound."""
    return array.shape[1] if len(array.shape) > 1 and array.shape[1] > 0 else int(np.iinfo(np.int64).max)

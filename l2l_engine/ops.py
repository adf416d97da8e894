"""The skimmer's operations on their own: NumPy arrays in, NumPy arrays out, on the CPU.

Each is thread-safe, releases the GIL and works on the calling thread. ``instructions`` is as for
:class:`l2l_engine.skim.Skimmer`. Given arrays on a CUDA device they work there, as :mod:`l2l_engine.cuda`
has it, on the legacy default stream, and give device arrays; ``instructions`` then means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l2l_engine import _arrays, _native
from l2l_engine.arguments import is_on_device
from l2l_engine.skim.arguments import Host, SoftIndexInput, SoftIndexOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from l2l_engine.cuda import CudaSoftIndexResult, DeviceArray


class OnDevice(Protocol):
    """An array in CUDA memory, of any library."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]: ...


@overload
def interpolate(
    features: OnDevice, knot_times: Any, timestamps: Any, *, instructions: str = ...
) -> DeviceArray: ...


@overload
def interpolate(
    features: ArrayLike, knot_times: ArrayLike, timestamps: ArrayLike, *, instructions: str = ...
) -> NDArray[np.float32]: ...


def interpolate(
    features: Any, knot_times: Any, timestamps: Any, *, instructions: str = "auto"
) -> NDArray[np.float32] | DeviceArray:
    """Features at timestamps from features at knots, linear in time (the paper's sparse indexing).

    Args:
        features: [B, M, D], float32, float16 or bfloat16.
        knot_times: [B, M] seconds, strictly increasing. Before the first and after the last knot the
            nearest one holds.
        timestamps: [B, N] seconds, in any order.
        instructions: CPU instructions to use.

    Returns:
        [B, N, D], float32.

    Raises:
        TypeError: An argument is of the wrong dtype; the message names it.
        ValueError: An argument is of the wrong rank or shape, a time is not finite, or knots do not
            increase; the message names it.
    """
    if is_on_device(features):
        from l2l_engine.cuda import interpolate as on_device  # noqa: PLC0415 - the CPU has no use for it

        return on_device(features, knot_times, timestamps)
    return _native.interpolate(
        _arrays.float32("features", features),
        _arrays.float64("knot_times", knot_times),
        _arrays.float64("timestamps", timestamps),
        instructions,
    )


@dataclass(frozen=True, slots=True, eq=False)
class SoftIndexResult:
    """One step of attention; all float32.

    Attributes:
        image_features, audio_features: [B, D], the banks under the mixed attention (Eq. 7-8).
        image_attention, audio_attention: [B, N], each row sums to 1 (Eq. 6); 0 past a video's length.
    """

    image_features: NDArray[np.float32]
    audio_features: NDArray[np.float32]
    image_attention: NDArray[np.float32]
    audio_attention: NDArray[np.float32]


@overload
def soft_index(
    image_bank: OnDevice,
    audio_bank: Any,
    image_times: Any,
    audio_times: Any,
    timestamps: Any,
    **options: Unpack[SoftIndexOptions],
) -> CudaSoftIndexResult: ...


@overload
def soft_index(
    image_bank: ArrayLike,
    audio_bank: ArrayLike,
    image_times: ArrayLike,
    audio_times: ArrayLike,
    timestamps: ArrayLike,
    *,
    instructions: str = "auto",
    **options: Unpack[SoftIndexOptions],
) -> SoftIndexResult: ...


def soft_index(
    image_bank: Any,
    audio_bank: Any,
    image_times: Any,
    audio_times: Any,
    timestamps: Any,
    *,
    instructions: str = "auto",
    **options: Unpack[SoftIndexOptions],
) -> SoftIndexResult | CudaSoftIndexResult:
    """Make one step of attention: scores, softmax, modality mix and weighted sums (Eq. 6-8).

    With z_j the interpolated rows of a bank: w = softmax_j(z_j . query) for each bank, and both banks are
    summed under s^I w^I + s^A w^A. The rows z_j are never formed: all is fused with the interpolation.

    Args:
        image_bank, audio_bank: [B, M, D] at knots, float32, float16 or bfloat16; M may differ.
        image_times, audio_times: [B, M] seconds, strictly increasing.
        timestamps: [B, N] seconds, in any order.
        image_query, audio_query: [B, D]; key weights folded in and scaled.
        modality_scores: [B, 2], (s^I, s^A).
        image_lengths, audio_lengths, lengths: int [B], what counts of Mi, Ma and N; all by default.
        image_excluded, audio_excluded: bool [B, N], moments that get no attention. A video that has all of
            its moments excluded is treated as if it had none.
        precision: How the banks are stored; sums and softmax are float32.
        instructions: CPU instructions to use.

    Raises:
        TypeError: An argument is of the wrong dtype; the message names it.
        ValueError: An argument is of the wrong rank or shape, out of range or not finite, or knots do not
            increase; the message names it.
    """
    if is_on_device(image_bank):
        from l2l_engine.cuda import soft_index as on_device  # noqa: PLC0415 - the CPU has no use for it

        return on_device(image_bank, audio_bank, image_times, audio_times, timestamps, **options)
    given = SoftIndexInput(image_bank, audio_bank, image_times, audio_times, timestamps, **options)
    arguments = [*given.taken(Host()), instructions]
    return SoftIndexResult(*_native.soft_index(*arguments))

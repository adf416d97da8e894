"""Preset ``paired`` on a GPU, with the interface of :class:`l2l_engine.pairing.Pairing`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from l2l_engine import _arrays
from l2l_engine.cuda import native
from l2l_engine.cuda.arrays import Arguments
from l2l_engine.skim import Precision

if TYPE_CHECKING:
    from l2l_engine._cuda import DeviceArray


class CudaPairing:
    """Adds to every feature what it says together with the other modality's at its time.

    Immutable; any number of threads may call it at once.

    Args:
        weights: As for :class:`l2l_engine.pairing.Pairing`; on the host.
        precision: How weights are stored; sums are always float32. ``"auto"`` takes fp16.
        device: The GPU's number.

    Raises:
        TypeError, ValueError: A tensor or argument is wrong; the message names it.
        DeviceError: The GPU cannot be used; the message says why.
        DeviceMemoryError: It has not enough memory for the weights.
    """

    def __init__(
        self, weights: Mapping[str, ArrayLike], *, precision: Precision = "auto", device: int = 0
    ) -> None:
        _arrays.one_of("precision", precision, ("fp32", "bf16", "fp16", "auto"))
        own = {name: weights[name] for name in weights if name.startswith("pair_")}
        tensors = {name: _arrays.float32(name, value) for name, value in own.items()}
        self._native = native.module().Pairing(tensors, precision, _arrays.integer("device", device))

    def __call__(
        self,
        image_bank: Any,
        audio_bank: Any,
        image_times: Any,
        audio_times: Any,
        *,
        out: tuple[Any, Any] = (None, None),
        stream: object = None,
    ) -> tuple[DeviceArray | None, DeviceArray | None]:
        """The joined features at the same knots; None of what is None. Queued on ``stream``, nothing waits.

        It allocates, so it cannot be captured in a CUDA graph.

        Args:
            image_bank, audio_bank: [B, M, D], float32, on the device or on the host; one may be None.
            image_times, audio_times: [B, M] seconds, float64, strictly increasing.
            out: Where they go, each float32 on the device and of its bank's shape, none of the banks; new
                memory by default.
            stream: A handle or a stream object; the legacy default stream by default.

        Raises:
            TypeError: An argument is of the wrong type or dtype; the message names it.
            ValueError: An argument is of the wrong shape, strided or on another device; the message names it.
            DeviceError: The device fails, or the stream is being captured.
            DeviceMemoryError: The device has not enough memory.
        """
        call = Arguments(stream, int(self._native.device))
        banks, times = [], []
        for name, bank, knots in (
            ("image", image_bank, image_times),
            ("audio", audio_bank, audio_times),
        ):
            banks.append(None if bank is None else call.features(f"{name}_bank", bank))
            times.append(None if bank is None else call.times(f"{name}_times", knots, knots=True))
        targets = [None if array is None else call.imported("out", array) for array in out]
        image, audio = self._native.run(banks, times, targets, call.stream)
        return image, audio

"""Frames by NVIDIA DALI: clips in, small pictures out, on the GPU's decoder or (for tests) on the CPU's.

One pipeline definition for both devices. Not yet run on a GPU; on the CPU it decodes VP8, VP9 and MJPEG.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from l2l_engine.errors import DeviceError
from l2l_engine.media.clips import Clip

ON_CPU = frozenset({"vp8", "vp9", "mjpeg"})
"""Codecs (FFmpeg's names) of DALI's CPU decoder."""

ON_GPU = frozenset({"h264", "hevc", "vp8", "vp9", "av1", "mjpeg", "mpeg4"})
"""Codecs its GPU decoder takes, as documented; which of them a device has depends on its NVDEC."""


def load_dali() -> ModuleType:
    """DALI, imported.

    Raises:
        DeviceError: If it is not installed or does not load, with how to get it.
    """
    try:
        return importlib.import_module("nvidia.dali")
    except ImportError as error:
        how = "install nvidia-dali-cuda130 (or the build for your CUDA version)"
        raise DeviceError(
            f"GPU decoding needs NVIDIA DALI, which cannot be imported ({error}): {how}"
        ) from error


class DaliDecoder:
    """Decodes clips, resizes the short side and cuts out the centre. For one thread at a time.

    Args:
        short_side, crop: Pixels, as in :class:`l2l_engine.media.picture.PictureMaker`.
        device: "cuda" decodes on the GPU's video decoder; "cpu" needs no GPU.
        batch: Clips in work at once.
        threads: Threads on the CPU.

    Raises:
        DeviceError: If DALI is missing, or the device cannot be used.
    """

    def __init__(
        self,
        *,
        short_side: int,
        crop: int,
        device: Literal["cpu", "cuda"] = "cuda",
        batch: int = 8,
        threads: int = 1,
    ) -> None:
        self._short_side, self._crop = short_side, crop
        self._device, self._batch, self._threads = device, batch, threads
        self._clips: list[NDArray[np.uint8]] = []
        self._frames: list[NDArray[np.int32]] = []
        self._pipeline: Any = self._build()

    def _build(self) -> Any:
        dali = load_dali()
        on_gpu = self._device == "cuda"
        try:
            pipeline = dali.Pipeline(
                batch_size=self._batch,
                num_threads=self._threads,
                device_id=0 if on_gpu else None,
                prefetch_queue_depth=1,
            )
            with pipeline:
                pipeline.set_outputs(self._define("mixed" if on_gpu else "cpu"))
            pipeline.build()
        except RuntimeError as error:
            raise DeviceError(f"DALI cannot decode on {self._device}: {_reason(error)}") from error
        return pipeline

    def _define(self, decoder: str) -> Any:
        fn: Any = importlib.import_module("nvidia.dali.fn")
        types: Any = importlib.import_module("nvidia.dali.types")
        encoded = fn.external_source(lambda: self._clips, ndim=1, dtype=types.UINT8, no_copy=True)
        wanted = fn.external_source(lambda: self._frames, ndim=1, dtype=types.INT32)
        video = fn.decoders.video(encoded, device=decoder, frames=wanted)
        # The triangle filter widens with the scale when it shrinks, as that of the CPU path does.
        small = fn.resize(
            video, resize_shorter=self._short_side, interp_type=types.INTERP_LINEAR, antialias=True
        )
        return fn.crop(small, crop=(self._crop, self._crop))

    def decode(self, clips: Sequence[Clip]) -> NDArray[np.uint8]:
        """The frames of all clips, one after the other, as they are stored: rotation is not applied.

        Args:
            clips: At most ``batch``.

        Returns:
            uint8 [sum of frames, crop, crop, 3], RGB.

        Raises:
            DeviceError: If DALI cannot decode them (a codec it does not know, damage).
        """
        if not 1 <= len(clips) <= self._batch:
            raise ValueError(f"clips must be 1 to {self._batch}, not {len(clips)}")
        # A batch is always full: what is missing is the first clip again, of which nothing is kept.
        padded = [*clips, *[clips[0]] * (self._batch - len(clips))]
        self._clips = [np.frombuffer(clip.data, np.uint8) for clip in padded]
        self._frames = [np.array(clip.frames, np.int32) for clip in clips]
        self._frames += [np.zeros(1, np.int32)] * (self._batch - len(clips))
        self._pipeline = self._pipeline or self._build()
        try:
            (output,) = self._pipeline.run()
        except RuntimeError as error:
            self._pipeline = None  # after an error a pipeline is of no more use
            raise DeviceError(f"DALI cannot decode this video: {_reason(error)}") from error
        samples = output.as_cpu()
        return np.concatenate([np.asarray(samples.at(i)) for i in range(len(clips))])


def _reason(error: Exception) -> str:
    """DALI's own words for the cause, out of its pages of context."""
    text = str(error).strip()
    return text.partition("encountered:")[2].strip().partition("\n")[0] or text.partition("\n")[0]

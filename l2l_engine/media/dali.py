"""Frames by NVIDIA DALI: clips in, small pictures out, on the GPU's decoder or (for tests) on the CPU's.

One pipeline definition for both devices. Not yet run on a GPU; on the CPU it decodes VP8, VP9 and MJPEG.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import av
import numpy as np
from numpy.typing import NDArray

from l2l_engine.errors import DeviceError, DeviceMemoryError
from l2l_engine.media.clips import Clip
from l2l_engine.media.picture import Orientation, orientation

ON_CPU = frozenset({"vp8", "vp9", "mjpeg"})
"""Codecs (FFmpeg's names) of DALI's CPU decoder."""

_PIXEL_FORMATS = frozenset({"yuv420p", "yuvj420p", "nv12"})
_MAX_ASPECT = 16
"""A longer strip is cut before it is resized, as the CPU's path does; DALI would resize all of it."""

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


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Frames of some clips where they were decoded: uint8 [crop, crop, 3] each, RGB.

    Attributes:
        pointers: The address of each, clip after clip; they are there as long as ``owner`` is.
    """

    pointers: tuple[int, ...]
    owner: object


class DaliDecoder:
    """Decodes clips, resizes the short side and cuts out the centre. For one thread at a time.

    Args:
        short_side, crop: Pixels, as in :class:`l2l_engine.media.picture.PictureMaker`.
        device: "cuda" decodes on the GPU's video decoder; "cpu" needs no GPU.
        batch: Clips in work at once.
        threads: Threads on the CPU.
        number: Which GPU, counted from 0; nothing for "cpu".

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
        number: int = 0,
    ) -> None:
        self._short_side, self._crop = short_side, crop
        self._device, self.batch, self._threads, self._number = device, batch, threads, number
        self._clips: list[NDArray[np.uint8]] = []
        self._frames: list[NDArray[np.int32]] = []
        self._pipeline: Any = self._build()

    def _build(self) -> Any:
        dali = load_dali()
        on_gpu = self._device == "cuda"
        try:
            pipeline = dali.Pipeline(
                batch_size=self.batch,
                num_threads=self._threads,
                device_id=self._number if on_gpu else None,
                prefetch_queue_depth=1,
            )
            with pipeline:
                pipeline.set_outputs(self._define("mixed" if on_gpu else "cpu"))
            pipeline.build()
        except RuntimeError as error:
            raise _translated(f"DALI cannot decode on {self._device}", error) from error
        return pipeline

    def _define(self, decoder: str) -> Any:
        fn: Any = importlib.import_module("nvidia.dali.fn")
        types: Any = importlib.import_module("nvidia.dali.types")
        # The GPU's decoder may still read when the next clips come.
        borrowed = decoder == "cpu"
        encoded = fn.external_source(lambda: self._clips, ndim=1, dtype=types.UINT8, no_copy=borrowed)
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
            DeviceMemoryError: If memory runs out.
        """
        samples = self._run(clips, None).as_cpu()
        return np.concatenate([np.asarray(samples.at(i)) for i in range(len(clips))])

    def decode_in_place(self, clips: Sequence[Clip], stream: int) -> Decoded:
        """The frames of all clips, left on the device that decoded them; see :meth:`decode`.

        Args:
            clips: At most ``batch``.
            stream: Handle of the CUDA stream that may read them without waiting for more.
        """
        samples = self._run(clips, stream if self._device == "cuda" else None)
        size = self._crop * self._crop * 3
        pointers: list[int] = []
        for i, clip in enumerate(clips):
            first = samples[i].data_ptr()
            pointers += [first + frame * size for frame in range(len(clip.frames))]
        return Decoded(tuple(pointers), samples)

    def _run(self, clips: Sequence[Clip], stream: int | None) -> Any:
        if not 1 <= len(clips) <= self.batch:
            raise ValueError(f"clips must be 1 to {self.batch}, not {len(clips)}")
        self._clips = [np.frombuffer(clip.data, np.uint8) for clip in clips]
        self._frames = [np.array(clip.frames, np.int32) for clip in clips]
        self._pipeline = self._pipeline or self._build()
        try:
            (output,) = self._pipeline.run() if stream is None else self._pipeline.run(stream)
        except (RuntimeError, MemoryError) as error:
            self._pipeline = None  # after an error a pipeline is of no more use
            raise _translated("DALI cannot decode this video", error) from error
        return output


def unsuitable(clip: Clip, *, most_pixels: int) -> str | None:
    """Why a clip is left to the CPU's decoder; None if it need not be.

    Its first frame is decoded to find out: a header may lie about the size, and DALI neither turns pictures
    nor refuses to decode what would take gigabytes.
    """
    try:
        with av.open(io.BytesIO(clip.data)) as container:
            frame = next(container.decode(video=0), None)
    except av.error.FFmpegError as error:
        return f"its first frame cannot be decoded ({error.strerror})"
    if frame is None:
        return "its first frame cannot be decoded"
    if orientation(frame) != Orientation():
        return "its pictures are to be turned"
    if frame.width * frame.height > most_pixels or max(frame.width, frame.height) > _MAX_ASPECT * min(
        frame.width, frame.height
    ):
        return f"its pictures are {frame.width} x {frame.height}"
    if frame.format.name not in _PIXEL_FORMATS:
        return f"its pixels are {frame.format.name}"
    return None


def _translated(what: str, error: Exception) -> DeviceError:
    text = str(error).lower()
    memory = isinstance(error, MemoryError) or "out of memory" in text or "bad_alloc" in text
    return (DeviceMemoryError if memory else DeviceError)(f"{what}: {_reason(error)}")


def _reason(error: Exception) -> str:
    """DALI's own words for the cause, out of its pages of context."""
    text = str(error).strip()
    return text.partition("encountered:")[2].strip().partition("\n")[0] or text.partition("\n")[0]

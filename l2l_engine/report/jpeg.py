"""Pictures as JPEG, by the FFmpeg that is here anyway."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from av.codec.context import CodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

_QUALITY = 4
"""FFmpeg's quantiser scale, 2 (best) to 31."""


def encode_jpeg(image: NDArray[np.uint8]) -> bytes:
    """A uint8 [H, W, 3] RGB picture as a JPEG file (H and W even)."""
    codec = CodecContext.create("mjpeg", "w")
    codec.height, codec.width = image.shape[:2]
    codec.pix_fmt, codec.time_base = "yuvj420p", Fraction(1, 1)
    codec.qmin = codec.qmax = _QUALITY
    # JPEG counts from 0 to 255 where video counts from 16 to 235.
    frame = VideoFrame.from_ndarray(image, "rgb24").reformat(format="yuvj420p", dst_color_range="JPEG")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in (*codec.encode(frame), *codec.encode()))

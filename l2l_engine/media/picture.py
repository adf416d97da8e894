"""From a decoded frame to the small square the image encoder takes."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass

import av.error
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

ImageArray = NDArray[np.uint8]

# The triangle filter widens with the scale when it shrinks, so nothing aliases. The other two make the
# result the same on every CPU; PyAV 17, the last for Python 3.10, does not offer them.
_EXACT = ("ACCURATE_RND", "BITEXACT")
_FILTER = functools.reduce(
    operator.or_, (Interpolation[n] for n in _EXACT if n in Interpolation.__members__), Interpolation.BILINEAR
)

_MAX_ASPECT = 16
"""A longer strip is cut to this shape before it is resized: only its middle is kept anyway."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a stored picture is shown: rows and columns exchanged first, then mirrored; eight ways in all."""

    exchanged: bool = False
    upside_down: bool = False
    left_to_right: bool = False

    def turned(self, image: ImageArray) -> ImageArray:
        """``image`` (uint8 [height, width, 3]) as it is shown; a view."""
        turned = image.swapaxes(0, 1) if self.exchanged else image
        return turned[:: -1 if self.upside_down else 1, :: -1 if self.left_to_right else 1]


def orientation(frame: VideoFrame) -> Orientation:
    """The orientation nearest to a frame's display matrix, as stored where it has none.

    The matrix (a b u / c d v / x y w, 16.16 fixed point) shows the stored point (x, y) at
    (a x + c y, b x + d y), with y downwards. A rotation alone would not tell a mirrored picture.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, SideData):
        return Orientation()
    a, b, _, c, d, *_ = np.frombuffer(memoryview(matrix), np.int32).tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, d < 0, a < 0)
    return Orientation(True, b < 0, c < 0)


class WholeFrame:
    """A decoded frame at its own size; see :class:`l2l_engine.media.source.Whole`."""

    def __init__(self, frame: VideoFrame) -> None:
        self._frame = frame

    @property
    def nbytes(self) -> int:
        """Bytes of its planes."""
        return sum(plane.buffer_size for plane in self._frame.planes)

    def pixels(self) -> ImageArray:
        """uint8 [height, width, 3], RGB, upright and not mirrored, in an array of its own.

        Raises:
            ValueError: FFmpeg cannot convert the pixel format.
        """
        frame = self._frame
        try:
            image = _rgb(VideoReformatter(), frame, frame.width, frame.height)
        except av.error.FFmpegError as error:
            raise ValueError(f"its pixel format cannot be converted: {error}") from error
        return np.ascontiguousarray(orientation(frame).turned(image))


class PictureMaker:
    """Resizes the short side of frames, shows them as they are meant to be, and cuts out the centre.

    For the frames of one video.
    """

    def __init__(self, short_side: int, crop: int) -> None:
        if not 0 < crop <= short_side:
            raise ValueError(f"crop must be between 1 and short_side, not {crop!r} of {short_side!r}")
        self._short_side, self._crop = short_side, crop
        self._reformatter = VideoReformatter()
        self._orientations: dict[int, Orientation] = {}

    def __call__(self, frame: VideoFrame) -> ImageArray:
        """uint8 [crop, crop, 3], RGB, upright and not mirrored.

        Raises:
            av.error.FFmpegError: FFmpeg cannot convert the pixel format.
        """
        if max(frame.width, frame.height) > _MAX_ASPECT * min(frame.width, frame.height):
            frame = self._middle(frame)
        scale = self._short_side / min(frame.width, frame.height)
        width = max(self._short_side, round(frame.width * scale))
        height = max(self._short_side, round(frame.height * scale))
        image = self._orientation(frame).turned(self._rgb(frame, width, height))
        top, left = (image.shape[0] - self._crop) // 2, (image.shape[1] - self._crop) // 2
        return np.ascontiguousarray(image[top : top + self._crop, left : left + self._crop])

    def _orientation(self, frame: VideoFrame) -> Orientation:
        """The orientation of a frame; looked up once for each rotation, which is quick to ask for."""
        turn = round(frame.rotation)
        if turn not in self._orientations:
            self._orientations[turn] = orientation(frame)
        return self._orientations[turn]

    def _rgb(self, frame: VideoFrame, width: int, height: int) -> ImageArray:
        return _rgb(self._reformatter, frame, width, height)

    def _middle(self, frame: VideoFrame) -> VideoFrame:
        """The centre of a strip, as a new frame; resizing all of it could take gigabytes."""
        image = self._rgb(frame, frame.width, frame.height)
        longest = _MAX_ASPECT * min(frame.width, frame.height)
        top, left = max(0, frame.height - longest) // 2, max(0, frame.width - longest) // 2
        cut = self._orientation(frame).turned(image[top : top + longest, left : left + longest])
        return VideoFrame.from_ndarray(np.ascontiguousarray(cut), format="rgb24")


def _rgb(reformatter: VideoReformatter, frame: VideoFrame, width: int, height: int) -> ImageArray:
    sized = reformatter.reformat(
        frame, width, height, "rgb24", interpolation=_FILTER, dst_color_range="JPEG", threads=1
    )
    return np.asarray(sized.to_ndarray(), np.uint8)

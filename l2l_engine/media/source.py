"""What the rest of the engine asks of a media file, whoever decodes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from l2l_engine.result import StreamInfo

MediaFile = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""A path, a URL (``str``), the content of a file (``bytes``), or a seekable binary file object."""

Poll = Callable[[], None]
"""Called between packets; raises to stop the work (timeout, cancel)."""


def display_name(file: MediaFile) -> str:
    """What messages and results call a file."""
    if isinstance(file, (str, os.PathLike)):
        return os.fsdecode(file)
    if isinstance(file, (bytes, bytearray, memoryview)):
        return f"<{memoryview(file).nbytes} bytes>"
    name = getattr(file, "name", None)
    return name if isinstance(name, str) else "<file object>"  # temporary files have a number or nothing


@dataclass(frozen=True, slots=True)
class AudioWindows:
    """Audio at the knots.

    Attributes:
        samples: float32 [M, window], mono, in [-1, 1]; zero past the end and where nothing was decoded.
        valid: bool [M]; False where the window should have held sound and none could be decoded.
    """

    samples: NDArray[np.float32]
    valid: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames at the knots.

    Attributes:
        images: uint8 [M, crop, crop, 3], RGB, short side resized, centre crop, rotation applied.
        valid: bool [M]; False where no frame could be decoded.
        shown_at: float64 [M], seconds: the presentation time of the frame that stands for the knot
            (NaN where not valid).
        frames_decoded: Frames that went through the decoder to get these.
    """

    images: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    shown_at: NDArray[np.float64]
    frames_decoded: int


class Whole(Protocol):
    """A decoded frame at its own size, which becomes pixels only if somebody wants them."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it holds."""

    def pixels(self) -> NDArray[np.uint8]:
        """uint8 [height, width, 3], RGB, upright and not mirrored; non-square pixels stay as they are stored.

        Raises:
            ValueError: Its pixel format cannot be converted.
        """


@dataclass(frozen=True, slots=True)
class FrameAt:
    """The frame that stands for one of the moments asked for.

    Attributes:
        row: Index of the moment.
        image: uint8 [crop, crop, 3], as in :class:`Frames`.
        shown_at: Seconds: the presentation time of the frame.
        whole: The frame itself, where it was asked for.
    """

    row: int
    image: NDArray[np.uint8]
    shown_at: float
    whole: Whole | None = None


@dataclass(frozen=True, slots=True)
class WindowsAt:
    """Some of the windows asked for.

    Attributes:
        rows: int64 [K], indices of the windows' starts.
        samples: float32 [K, window], as in :class:`AudioWindows`.
    """

    rows: NDArray[np.int64]
    samples: NDArray[np.float32]


class MediaSource(Protocol):
    """One opened media file on one clock: seconds, 0 at the earliest start of its used streams."""

    @property
    def duration(self) -> float:
        """Seconds, always finite and > 0; measured from packets when the container does not say."""

    @property
    def readable(self) -> float:
        """Seconds of it that are there: the duration, or less of a file that was cut short."""

    @property
    def streams(self) -> tuple[StreamInfo, ...]:
        """The video and audio stream used (at most one each)."""

    @property
    def has_video(self) -> bool:
        """Whether there is a video stream; cover art is none."""

    @property
    def has_audio(self) -> bool:
        """Whether there is an audio stream."""

    def audio_windows(
        self, starts: NDArray[np.float64], *, window: int, sample_rate: int, poll: Poll | None = None
    ) -> AudioWindows:
        """Decode ``window`` samples at ``sample_rate`` Hz from each of ``starts`` (seconds, increasing)."""

    def yields(self, kind: Literal["video", "audio"], *, poll: Poll | None = None) -> bool:
        """Whether anything of a declared track can be decoded: it is read up to its first frame."""

    @property
    def frames_decoded(self) -> int:
        """Video frames that went through the decoder so far."""

    @property
    def reopens(self) -> bool:
        """Whether ``another`` works: not for a file object that has but one position."""

    @property
    def bytes_read(self) -> int:
        """Bytes read of the file so far, by all its readers; of a URL those that came over the network."""

    def verify(self, *, poll: Poll | None = None) -> None:
        """Raise a MediaError if the file is by now another one than it was at first."""

    def groups(self, *, poll: Poll | None = None) -> NDArray[np.float64] | None:
        """``key_times`` where an index tells them; None if all packets would have to be read."""

    def another(self, *, poll: Poll | None = None) -> MediaSource | None:
        """The same content opened once more, for another thread; None if it does not ``reopens``."""

    def iter_windows(
        self, starts: NDArray[np.float64], *, window: int, sample_rate: int, poll: Poll | None = None
    ) -> Iterator[WindowsAt]:
        """The valid ones of :meth:`audio_windows`, some at a time, while the others are still decoded."""

    def iter_frames(
        self,
        times: NDArray[np.float64],
        *,
        short_side: int,
        crop: int,
        whole: bool = False,
        poll: Poll | None = None,
    ) -> Iterator[FrameAt]:
        """The valid ones of :meth:`frames`, one at a time, while the others are still decoded.

        With ``whole`` each brings the frame at its own size.
        """

    def key_times(self, *, poll: Poll | None = None) -> NDArray[np.float64]:
        """When key frames are shown (float64 [K], seconds, increasing), without decoding; may be empty."""

    def frames(
        self, times: NDArray[np.float64], *, short_side: int, crop: int, poll: Poll | None = None
    ) -> Frames:
        """Decode the frame shown at each of ``times`` (seconds, increasing)."""

    def close(self) -> None:
        """Release the file; safe to call twice."""

    def __enter__(self) -> MediaSource: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

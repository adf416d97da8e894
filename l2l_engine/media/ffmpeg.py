"""Media files decoded on the CPU by FFmpeg, through PyAV."""

from __future__ import annotations

import math
from types import TracebackType

import av.error
import numpy as np
from numpy.typing import NDArray

from l2l_engine.errors import ClosedError
from l2l_engine.media.audio import AudioWalker
from l2l_engine.media.clock import CUT_SHORT, Clock
from l2l_engine.media.demux import Demuxer, Track
from l2l_engine.media.keys import key_times
from l2l_engine.media.limits import DEFAULT_LIMITS, Limits
from l2l_engine.media.opening import open_reader, translated
from l2l_engine.media.picture import ImageArray, PictureMaker
from l2l_engine.media.source import AudioWindows, Frames, MediaFile, MediaSource, Poll
from l2l_engine.media.video import FrameWalker, Shown
from l2l_engine.result import StreamInfo


def open_media(
    file: MediaFile, *, limits: Limits = DEFAULT_LIMITS, threads: int = 1, poll: Poll | None = None
) -> MediaSource:
    """Open a media file; no other file is ever opened on its behalf, and no network.

    Args:
        file: A path (``str`` or ``PathLike``), a file's content (``bytes``), or a seekable binary file
            object, which is read from its first byte, must not be used by others meanwhile, and is not
            closed.
        limits: What the file may cost.
        threads: Threads of the video decoder.
        poll: Called while the file is probed; what it raises stops the work.

    Returns:
        The opened file, for use by one thread at a time. It is a context manager.

    Raises:
        MediaNotFoundError: There is no such file.
        MediaAccessError: It cannot be read, or is no regular file.
        LimitError: It is longer than ``limits.duration``.
        MediaError: It is empty, damaged, of an unsupported format, or without picture and sound.
        TypeError: ``file`` is of none of the accepted types.
    """
    return FFmpegSource(file, limits=limits, threads=threads, poll=poll)


class FFmpegSource:
    """A file decoded by FFmpeg; see :class:`l2l_engine.media.source.MediaSource`."""

    def __init__(self, file: MediaFile, *, limits: Limits, threads: int, poll: Poll | None) -> None:
        if threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads!r}")
        self._limits, self._threads = limits, threads
        self._closed = False
        self._reader, self._name = open_reader(file)
        try:
            self._reader.begin(poll)
            self._demuxer = Demuxer(self._reader, self._name, limits)
            with translated(self._reader, self._name, "cannot be read"):
                self._clock = Clock(self._demuxer, limits, poll)
        except BaseException:
            self._reader.close()
            raise

    @property
    def name(self) -> str:
        """What messages call the file."""
        return self._name

    @property
    def duration(self) -> float:
        """Seconds, finite, > 0."""
        return self._clock.duration

    @property
    def streams(self) -> tuple[StreamInfo, ...]:
        """The video and audio stream in use, as the container declares them."""
        return tuple(track.info for track in self._demuxer.tracks)

    @property
    def has_video(self) -> bool:
        """Whether there is a video stream (cover art is none)."""
        return self._demuxer.video is not None

    @property
    def has_audio(self) -> bool:
        """Whether there is an audio stream."""
        return self._demuxer.audio is not None

    def frames(
        self, times: NDArray[np.float64], *, short_side: int, crop: int, poll: Poll | None = None
    ) -> Frames:
        """Decode the frame shown at each of ``times``; see :meth:`MediaSource.frames`.

        Raises:
            LimitError: A frame is too large, or too many had to be decoded.
            ValueError: The times decrease, or the file has no video.
        """
        track = self._begin(self._demuxer.video, "video", times, poll)
        images = np.zeros((len(times), crop, crop, 3), np.uint8)
        shown_at = np.full(len(times), np.nan)
        make = PictureMaker(short_side, crop)
        with translated(self._reader, self._name, "its video cannot be decoded"):
            walker = FrameWalker(self._demuxer, track, self._limits, self._threads, poll)
            before: Shown | None = None
            picture: ImageArray | None = None
            moments = (times + self._clock.zero).tolist()
            for row, time in enumerate(times):
                shown = walker.at(moments[row], moments[row + 1] if row + 1 < len(moments) else None)
                if shown is None or not self._holds(walker, track, float(time)):
                    continue
                if shown is not before:  # one frame may stand for several moments
                    before, picture = shown, _picture(make, shown)
                if picture is not None:
                    images[row] = picture
                    shown_at[row] = shown.time - self._clock.zero
            for row in np.flatnonzero(times - shown_at > CUT_SHORT).tolist():
                if any(begin < times[row] + self._clock.zero < end for begin, end in self._clock.holes(poll)):
                    images[row], shown_at[row] = 0, np.nan
        return Frames(images, np.isfinite(shown_at), shown_at, walker.decoded)

    def key_times(self, *, poll: Poll | None = None) -> NDArray[np.float64]:
        """When key frames are shown; see :meth:`MediaSource.key_times`."""
        track = self._begin(self._demuxer.video, "video", np.zeros(0), poll)
        with translated(self._reader, self._name, "its video cannot be read"):
            times = key_times(self._demuxer, track, poll)
        return np.unique(np.clip(np.array(times) - self._clock.zero, 0.0, None))

    def _holds(self, walker: FrameWalker, track: Track, time: float) -> bool:
        """Whether the last frame of a track may stand for a later moment: not in a file cut short."""
        if not walker.ended or time + self._clock.zero <= walker.end + CUT_SHORT:
            return True
        return self._clock.expected_end(track, walker.end) == walker.end

    def audio_windows(
        self, starts: NDArray[np.float64], *, window: int, sample_rate: int, poll: Poll | None = None
    ) -> AudioWindows:
        """Decode the windows that begin at ``starts``; see :meth:`MediaSource.audio_windows`.

        A window begins on the sample of the track, resampled as a whole, that is nearest to its start; so
        overlapping windows hold the same samples (after a jump in a container that rounds its timestamps,
        shifted by at most that rounding). It is valid if at least half of the sound that belongs into it
        could be decoded, or none does.

        Raises:
            LimitError: The windows need more decoded sound at once than the limit.
            ValueError: The starts decrease, or the file has no audio.
        """
        track = self._begin(self._demuxer.audio, "audio", starts, poll)
        samples = np.zeros((len(starts), window), np.float32)
        missing = np.zeros(len(starts))
        with translated(self._reader, self._name, "its audio cannot be decoded"):
            walker = AudioWalker(
                self._demuxer, track, self._limits, poll, count=window, sample_rate=sample_rate
            )
            for row, start in enumerate(starts):
                samples[row] = walker.window(float(start) + self._clock.zero)
                missing[row] = window / sample_rate - walker.covered
            seen_end = walker.end if walker.ended else math.inf
            lost = [*walker.bad, (seen_end, self._clock.expected_end(track, seen_end))]
            valid = np.ones(len(starts), np.bool_)
            for row in np.flatnonzero(missing > 0.4 * window / sample_rate).tolist():
                begin = float(starts[row]) + self._clock.zero
                spans = lost + self._clock.holes(poll)
                end = min(begin + window / sample_rate, max(seen_end, lost[-1][1]))
                valid[row] = _overlap(begin, end, spans) <= max(0.0, end - max(begin, track.start)) / 2
        return AudioWindows(samples, valid)

    def _begin(self, track: Track | None, kind: str, times: NDArray[np.float64], poll: Poll | None) -> Track:
        """Check what every piece of work on a track needs."""
        if self._closed:
            raise ClosedError(f"{self._name}: the file was closed")
        if track is None:
            raise ValueError(f"{self._name}: has no {kind} stream")
        if times.ndim != 1 or not np.isfinite(times).all() or (np.diff(times) < 0).any():
            raise ValueError("moments must be one-dimensional, finite, and not decrease")
        self._reader.begin(poll)
        return track

    def close(self) -> None:
        """Release the file; safe to call twice."""
        if not self._closed:
            self._closed = True
            self._demuxer.close()

    def __enter__(self) -> FFmpegSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _picture(make: PictureMaker, shown: Shown) -> ImageArray | None:
    """The picture of a frame; None if FFmpeg cannot convert it, as with a frame that is not decoded."""
    try:
        return make(shown.frame)
    except (av.error.FFmpegError, ValueError):
        return None


def _overlap(begin: float, end: float, spans: list[tuple[float, float]]) -> float:
    """Seconds of [begin, end] that lie in ``spans``; what lies in two of them counts twice."""
    return sum(max(0.0, min(end, to) - max(begin, since)) for since, to in spans)

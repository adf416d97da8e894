"""Media files decoded on the CPU by FFmpeg, through PyAV."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType

import av.error
import numpy as np
from numpy.typing import NDArray

from l2l_engine.errors import ClosedError, LimitError, MediaError
from l2l_engine.media.audio import AudioWalker, Sound
from l2l_engine.media.clips import Clip, ClipCutter
from l2l_engine.media.clock import CUT_SHORT, Clock
from l2l_engine.media.demux import Demuxer, Track
from l2l_engine.media.keys import indexed_key_times, read_key_times
from l2l_engine.media.limits import DEFAULT_LIMITS, Limits
from l2l_engine.media.opening import Reader, open_reader, translated
from l2l_engine.media.picture import ImageArray, PictureMaker
from l2l_engine.media.source import AudioWindows, Frames, Heard, MediaFile, MediaSource, Poll, Seen
from l2l_engine.media.video import FrameWalker, Shown
from l2l_engine.result import StreamInfo

_BLOCK = 16
"""Windows of sound that are resampled together: each costs less so."""


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
    if threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads!r}")
    reader, name = open_reader(file)
    return FFmpegSource(reader, name, limits=limits, threads=threads, poll=poll)


class FFmpegSource:
    """A file decoded by FFmpeg; see :class:`l2l_engine.media.source.MediaSource`."""

    def __init__(
        self,
        reader: Reader,
        name: str,
        *,
        limits: Limits,
        threads: int,
        poll: Poll | None,
        like: FFmpegSource | None = None,
    ) -> None:
        self._reader, self._name = reader, name
        self._limits, self._threads = limits, threads
        self._closed = False
        self._frames_decoded = 0
        self._groups: list[NDArray[np.float64] | None] = []
        self._maker: tuple[int, int, PictureMaker] | None = None
        try:
            self._reader.begin(poll)
            self._demuxer = Demuxer(self._reader, self._name, limits)
            if like is None:
                with translated(self._reader, self._name, "cannot be read"):
                    self._clock = Clock(self._demuxer, limits, poll)
            elif self._demuxer.tracks == like._demuxer.tracks:
                self._clock = like._clock.on(self._demuxer)
            else:
                self._demuxer.container.close()
                raise MediaError(f"{name}: its streams changed while it was read")
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

    @property
    def frames_decoded(self) -> int:
        """Video frames that went through the decoder so far."""
        return self._frames_decoded

    @property
    def reopens(self) -> bool:
        """Whether ``another`` works."""
        return self._reader.owned

    def another(self, *, poll: Poll | None = None) -> FFmpegSource | None:
        """Open the same content once more, for another thread; None where ``file`` was a file object.

        Raises:
            MediaError: It is no longer what it was.
        """
        reader = self._reader.again()
        if reader is None:
            return None
        return FFmpegSource(
            reader, self._name, limits=self._limits, threads=self._threads, poll=poll, like=self
        )

    def frames(
        self, times: NDArray[np.float64], *, short_side: int, crop: int, poll: Poll | None = None
    ) -> Frames:
        """Decode the frame shown at each of ``times``; see :meth:`MediaSource.frames`.

        Raises:
            LimitError: A frame is too large, or too many had to be decoded.
            ValueError: The times decrease, or the file has no video.
        """
        before = self._frames_decoded
        images = np.zeros((len(times), crop, crop, 3), np.uint8)
        shown_at = np.full(len(times), np.nan)
        for seen in self.look(times, short_side=short_side, crop=crop, poll=poll):
            images[seen.row], shown_at[seen.row] = seen.image, seen.shown_at
        return Frames(images, np.isfinite(shown_at), shown_at, self._frames_decoded - before)

    def look(
        self, times: NDArray[np.float64], *, short_side: int, crop: int, poll: Poll | None = None
    ) -> Iterator[Seen]:
        """Yield the frames shown at ``times`` as they are decoded; moments without one are left out.

        Raises:
            LimitError: A frame is too large, or too many had to be decoded.
            ValueError: The times decrease, or the file has no video.
        """
        track = self._begin(self._demuxer.video, "video", times, poll)
        make = self._picture_maker(short_side, crop)
        zero = self._clock.zero
        moments = (times + zero).tolist()
        doubtful: list[Seen] = []
        walker = FrameWalker(self._demuxer, track, self._limits, self._threads, poll)
        try:
            with translated(self._reader, self._name, "its video cannot be decoded"):
                before: Shown | None = None
                picture: ImageArray | None = None
                for row, moment in enumerate(moments):
                    shown = walker.at(moment, moments[row + 1] if row + 1 < len(moments) else math.inf)
                    if shown is None or not self._holds(walker, track, moment):
                        continue
                    if shown is not before:  # one frame may stand for several moments
                        before, picture = shown, _picture(make, shown)
                    if picture is not None:
                        seen = Seen(row, picture, shown.time - zero)
                        if float(times[row]) - seen.shown_at > CUT_SHORT:
                            doubtful.append(seen)
                        else:
                            yield seen
                for seen in doubtful:
                    if not any(begin < moments[seen.row] < end for begin, end in self._clock.holes(poll)):
                        yield seen
        finally:
            self._frames_decoded += walker.decoded

    def clips(self, times: NDArray[np.float64], *, poll: Poll | None = None) -> Iterator[Clip]:
        """Cut out what a decoder needs to show the frames at ``times``; clips tell this file's times.

        Raises:
            LimitError: Too many frames would have to be decoded.
            MediaError: A group of pictures is too large to be held, or the file cannot be read.
            ValueError: The times decrease, or the file has no video.
        """
        track, zero = self._begin(self._demuxer.video, "video", times, poll), self._clock.zero
        frames = 0
        with translated(self._reader, self._name, "its video cannot be read"):
            for clip in ClipCutter(self._demuxer, track, poll).cut((times + zero).tolist()):
                frames += clip.packets
                if frames > self._limits.frames:
                    raise LimitError(f"{self._name}: needs more than {self._limits.frames} frames decoded")
                yield replace(clip, times=tuple(time - zero for time in clip.times))

    @property
    def container(self) -> str:
        """FFmpeg's names of the format."""
        return self._demuxer.container.format.name

    @property
    def limits(self) -> Limits:
        """What the file may cost."""
        return self._limits

    def key_times(self, *, poll: Poll | None = None) -> NDArray[np.float64]:
        """When key frames are shown; see :meth:`MediaSource.key_times`."""
        found = self.groups(poll=poll)
        if found is not None:
            return found
        track = self._begin(self._demuxer.video, "video", np.zeros(0), poll)
        with translated(self._reader, self._name, "its video cannot be read"):
            return self._on_clock(read_key_times(self._demuxer, track, poll))

    def groups(self, *, poll: Poll | None = None) -> NDArray[np.float64] | None:
        """When key frames are shown, where an index tells; see :meth:`MediaSource.groups`."""
        track = self._begin(self._demuxer.video, "video", np.zeros(0), poll)
        if not self._groups:
            with translated(self._reader, self._name, "its video cannot be read"):
                times = indexed_key_times(self._demuxer, track, poll)
            self._groups = [None if times is None else self._on_clock(times)]
        return self._groups[0]

    def _on_clock(self, times: list[float]) -> NDArray[np.float64]:
        return np.unique(np.clip(np.array(times) - self._clock.zero, 0.0, None))

    def _picture_maker(self, short_side: int, crop: int) -> PictureMaker:
        """The one of before where the sizes are the same: it holds FFmpeg's scaler."""
        if self._maker is None or self._maker[:2] != (short_side, crop):
            self._maker = short_side, crop, PictureMaker(short_side, crop)
        return self._maker[2]

    def _holds(self, walker: FrameWalker, track: Track, moment: float) -> bool:
        """Whether the last frame of a track may stand for a later moment: not in a file cut short."""
        if not walker.ended or moment <= walker.end + CUT_SHORT:
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
        samples = np.zeros((len(starts), window), np.float32)
        valid = np.zeros(len(starts), np.bool_)
        for heard in self.listen(starts, window=window, sample_rate=sample_rate, poll=poll):
            samples[heard.rows], valid[heard.rows] = heard.samples, True
        return AudioWindows(samples, valid)

    def listen(
        self, starts: NDArray[np.float64], *, window: int, sample_rate: int, poll: Poll | None = None
    ) -> Iterator[Heard]:
        """Yield the windows that begin at ``starts`` as they are decoded; those not valid are left out.

        Raises:
            LimitError: The windows need more decoded sound at once than the limit.
            ValueError: The starts decrease, or the file has no audio.
        """
        track = self._begin(self._demuxer.audio, "audio", starts, poll)
        seconds = window / sample_rate
        doubtful: list[tuple[int, Sound, float]] = []
        with translated(self._reader, self._name, "its audio cannot be decoded"):
            walker = AudioWalker(
                self._demuxer, track, self._limits, poll, count=window, sample_rate=sample_rate
            )
            ready: list[tuple[int, Sound]] = []
            for row, start in enumerate(starts.tolist()):
                sound = walker.window(start + self._clock.zero)
                missing = seconds - walker.covered
                if missing > 0.4 * seconds:
                    doubtful.append((row, sound, missing))
                else:
                    ready.append((row, sound))
                if len(ready) == _BLOCK:
                    yield walker.resampled(ready)
                    ready = []
            ready += [
                (row, sound)
                for row, sound, _ in doubtful
                if self._enough(walker, track, starts[row], seconds)
            ]
            for at in range(0, len(ready), _BLOCK):
                yield walker.resampled(ready[at : at + _BLOCK])

    def _enough(self, walker: AudioWalker, track: Track, start: float, seconds: float) -> bool:
        """Whether a window lacks sound because there is none, not because it was lost."""
        seen_end = walker.end if walker.ended else math.inf
        lost = [*walker.bad, (seen_end, self._clock.expected_end(track, seen_end))]
        begin = float(start) + self._clock.zero
        spans = lost + self._clock.holes(walker.poll)
        end = min(begin + seconds, max(seen_end, lost[-1][1]))
        return _overlap(begin, end, spans) <= max(0.0, end - max(begin, track.start)) / 2

    def _begin(self, track: Track | None, kind: str, times: NDArray[np.float64], poll: Poll | None) -> Track:
        """Check what every piece of work on a track needs."""
        if self._closed:
            raise ClosedError(f"{self._name}: the file was closed")
        if track is None:
            raise ValueError(f"{self._name}: has no {kind} stream")
        if times.ndim != 1 or not np.isfinite(times).all() or (np.diff(times) < 0).any():
            raise ValueError("moments must be one-dimensional, finite, and not decrease")
        self._demuxer.begin(poll)
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

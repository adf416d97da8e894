"""Media files decoded on the CPU by FFmpeg, through PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from l2l_engine.errors import ClosedError, LimitError, MediaError
from l2l_engine.media.audio import AudioWalker
from l2l_engine.media.clips import Clip, ClipCutter
from l2l_engine.media.clock import Clock
from l2l_engine.media.demux import Demuxer, open_demuxer
from l2l_engine.media.frames import iter_frames
from l2l_engine.media.keys import indexed_key_times, read_key_times
from l2l_engine.media.limits import DEFAULT_LIMITS, Limits
from l2l_engine.media.marks import Marks
from l2l_engine.media.opening import open_reader, translated
from l2l_engine.media.picture import PictureMaker
from l2l_engine.media.presence import settle
from l2l_engine.media.source import AudioWindows, FrameAt, Frames, MediaFile, MediaSource, Poll, WindowsAt
from l2l_engine.media.spare import Beside, Spare
from l2l_engine.media.tracks import Track
from l2l_engine.media.video import FrameWalker
from l2l_engine.media.windows import iter_windows
from l2l_engine.result import StreamInfo


def open_media(
    file: MediaFile,
    *,
    limits: Limits = DEFAULT_LIMITS,
    threads: int = 1,
    poll: Poll | None = None,
    beside: Beside | None = None,
) -> MediaSource:
    """Open a media file; no other file is ever opened on its behalf, and no network but for a URL.

    Args:
        file: A path (``str`` or ``PathLike``), a URL (``str``), a file's content (``bytes``), or a seekable
            binary file object, which is read from its first byte, must not be used by others meanwhile, and
            is not closed.
        limits: What the file may cost.
        threads: Threads of the video decoder.
        poll: Called while the file is probed; what it raises stops the work.
        beside: Given work to be done in another thread meanwhile: it opens the file once more, for
            ``another`` to hand out. None where no thread is free.

    Returns:
        The opened file, for use by one thread at a time. It is a context manager.

    Raises:
        MediaNotFoundError: There is no such file.
        MediaAccessError: It cannot be read, or is no regular file, or its URL is of no allowed protocol.
        MediaUnreachableError: The URL's server cannot be reached.
        LimitError: It is longer than ``limits.duration``.
        MediaError: It is empty, damaged, of an unsupported format, or without picture and sound.
        TypeError: ``file`` is of none of the accepted types.
    """
    if threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads!r}")
    reader, name = open_reader(file, limits, poll)
    again = None if beside is None else reader.again()
    spare = None if again is None else Spare(again, name, limits, poll)
    if beside is not None and spare is not None:
        beside(spare.open)
    try:
        demuxer = open_demuxer(reader, name, limits, poll)
        with translated(reader, name, "cannot be read"):
            settle(demuxer, limits, poll)
            clock = Clock(demuxer, limits, poll)
        return FFmpegSource(demuxer, clock, limits=limits, threads=threads, spare=spare)
    except BaseException:
        reader.close()
        if spare is not None:
            spare.close()
        raise


class FFmpegSource:
    """A file decoded by FFmpeg; see :class:`l2l_engine.media.source.MediaSource`."""

    def __init__(
        self,
        demuxer: Demuxer,
        clock: Clock,
        *,
        limits: Limits,
        threads: int,
        spare: Spare | None = None,
    ) -> None:
        self._demuxer, self._clock, self._name = demuxer, clock, demuxer.name
        self._limits, self._threads, self._spare = limits, threads, spare
        self._closed = False
        self._frames_decoded = 0
        self._groups: list[NDArray[np.float64] | None] = []
        self._marks = Marks()
        self._maker: tuple[int, int, PictureMaker] | None = None

    @property
    def name(self) -> str:
        """What messages call the file."""
        return self._name

    @property
    def duration(self) -> float:
        """Seconds, finite, > 0."""
        return self._clock.duration

    @property
    def readable(self) -> float:
        """Seconds of it that are there; less than the duration of a file that was cut short."""
        return self._clock.readable

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

    def yields(self, kind: Literal["video", "audio"], *, poll: Poll | None = None) -> bool:
        """Whether anything of a track can be decoded; see :meth:`MediaSource.yields`."""
        track = self._begin(getattr(self._demuxer, kind), kind, np.zeros(0), poll)
        with translated(self._demuxer.reader, self._name, f"its {kind} cannot be read"):
            return self._clock.yields(track, poll)

    @property
    def frames_decoded(self) -> int:
        """Video frames that went through the decoder so far."""
        return self._frames_decoded

    @property
    def reopens(self) -> bool:
        """Whether ``another`` works."""
        return self._demuxer.reader.reopens

    @property
    def bytes_read(self) -> int:
        """Bytes read of the file so far; see :meth:`MediaSource.bytes_read`."""
        return self._demuxer.reader.bytes_read

    def verify(self, *, poll: Poll | None = None) -> None:
        """Raise a MediaError if the file is by now another one; see :meth:`MediaSource.verify`."""
        self._demuxer.reader.verify(poll)

    def another(self, *, poll: Poll | None = None) -> FFmpegSource | None:
        """Open the same content once more, for another thread; None where it is not ``reopens``.

        Raises:
            MediaError: It is no longer what it was.
        """
        demuxer = None if self._spare is None else self._spare.take()
        if demuxer is None:
            again = self._demuxer.reader.again()
            if again is None:
                return None
            demuxer = open_demuxer(again, self._name, self._limits, poll)
        if demuxer.declared != self._demuxer.declared:
            demuxer.close()
            raise MediaError(f"{self._name}: its streams changed while it was read")
        demuxer.video, demuxer.audio = self._demuxer.video, self._demuxer.audio
        clock = self._clock.on(demuxer)
        other = FFmpegSource(demuxer, clock, limits=self._limits, threads=self._threads)
        other._marks = self._marks
        return other

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
        for seen in self.iter_frames(times, short_side=short_side, crop=crop, poll=poll):
            images[seen.row], shown_at[seen.row] = seen.image, seen.shown_at
        return Frames(images, np.isfinite(shown_at), shown_at, self._frames_decoded - before)

    def iter_frames(
        self,
        times: NDArray[np.float64],
        *,
        short_side: int,
        crop: int,
        whole: bool = False,
        poll: Poll | None = None,
    ) -> Iterator[FrameAt]:
        """Yield the frames shown at ``times`` as they are decoded; moments without one are left out.

        Raises:
            LimitError: A frame is too large, or too many had to be decoded.
            ValueError: The times decrease, or the file has no video.
        """
        track = self._begin(self._demuxer.video, "video", times, poll)
        make = self._picture_maker(short_side, crop)
        self._learn_order(track, poll)
        walker = FrameWalker(self._demuxer, track, self._limits, self._threads, poll=poll, marks=self._marks)
        try:
            with translated(self._demuxer.reader, self._name, "its video cannot be decoded"):
                yield from iter_frames(walker, track, self._clock, times, make, whole=whole)
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
        with translated(self._demuxer.reader, self._name, "its video cannot be read"):
            for clip in ClipCutter(self._demuxer, track, poll).cut((times + zero).tolist()):
                frames += clip.packets
                if frames > self._limits.frames:
                    raise LimitError(f"{self._name}: needs more than {self._limits.frames} frames decoded")
                yield replace(clip, times=tuple(time - zero for time in clip.times))

    @property
    def marks_hold(self) -> bool:
        """Whether key frames are, as far as known, where the container says, and shown when it says."""
        video = self._demuxer.video
        return self._marks.confirmed is None and (video is None or not self._demuxer.by_order(video))

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
        if self._clock.survey is not None:
            return self._on_clock(self._clock.survey.keys.tolist())
        with translated(self._demuxer.reader, self._name, "its video cannot be read"):
            return self._on_clock(read_key_times(self._demuxer, track, poll))

    def groups(self, *, poll: Poll | None = None) -> NDArray[np.float64] | None:
        """When key frames are shown, where an index tells; see :meth:`MediaSource.groups`."""
        track = self._begin(self._demuxer.video, "video", np.zeros(0), poll)
        self._learn_order(track, poll)
        if self._marks.confirmed is not None:
            return self._on_clock(self._marks.times)
        if not self._groups:
            with translated(self._demuxer.reader, self._name, "its video cannot be read"):
                times = indexed_key_times(self._demuxer, track, poll)
            self._groups = [None if times is None else self._on_clock(times)]
        return self._groups[0]

    def _learn_order(self, track: Track, poll: Poll | None) -> None:
        """Where only the order of frames says when they are shown, find out where key frames come in it."""
        if self._marks.confirmed is None and self._demuxer.by_order(track):
            with translated(self._demuxer.reader, self._name, "its video cannot be read"):
                self._marks.confirm(self._demuxer, track, self._limits, poll)

    def _on_clock(self, times: list[float]) -> NDArray[np.float64]:
        return np.unique(np.clip(np.array(times) - self._clock.zero, 0.0, None))

    def _picture_maker(self, short_side: int, crop: int) -> PictureMaker:
        """The one of before where the sizes are the same: it holds FFmpeg's scaler."""
        if self._maker is None or self._maker[:2] != (short_side, crop):
            self._maker = short_side, crop, PictureMaker(short_side, crop)
        return self._maker[2]

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
        for heard in self.iter_windows(starts, window=window, sample_rate=sample_rate, poll=poll):
            samples[heard.rows], valid[heard.rows] = heard.samples, True
        return AudioWindows(samples, valid)

    def iter_windows(
        self, starts: NDArray[np.float64], *, window: int, sample_rate: int, poll: Poll | None = None
    ) -> Iterator[WindowsAt]:
        """Yield the windows that begin at ``starts`` as they are decoded; those not valid are left out.

        Raises:
            LimitError: The windows need more decoded sound at once than the limit.
            ValueError: The starts decrease, or the file has no audio.
        """
        track = self._begin(self._demuxer.audio, "audio", starts, poll)
        with translated(self._demuxer.reader, self._name, "its audio cannot be decoded"):
            walker = AudioWalker(
                self._demuxer, track, self._limits, poll, count=window, sample_rate=sample_rate
            )
            yield from iter_windows(walker, track, self._clock, starts, window / sample_rate)

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
            if self._spare is not None:
                self._spare.close()

    def __enter__(self) -> FFmpegSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

"""Packets of one file: which streams are used, where they start and end, and going to a moment."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.index import IndexEntries
from av.packet import Packet
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from l2l_engine.errors import MediaError
from l2l_engine.media.containers import container, counts_frames, tag_bytes
from l2l_engine.media.limits import Limits
from l2l_engine.media.opening import Reader, open_container, translated
from l2l_engine.media.source import Poll
from l2l_engine.result import StreamInfo

_NOT_A_MOVIE = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_NOT_MAIN = Disposition.hearing_impaired | Disposition.visual_impaired | Disposition.comment
_ROUNDING = 1e-7
"""Seconds by which a tick turned into seconds may miss itself; going there must lead to it."""
_PROBED_S = 100.0
"""Seconds of a file that FFmpeg reads at most to find out what it is."""
_PEEKED = 1024
"""Bytes at the beginning of an MP3 file that show whether it counts its frames."""
_MAX_READ_ERRORS = 8
"""Consecutive failed reads after which the rest of a damaged file is given up."""


@dataclass(frozen=True, slots=True)
class Track:
    """A stream in use; times in seconds on the container's own clock."""

    index: int
    time_base: float
    start: float
    declared_end: float | None
    """Where the container says the stream ends; a hint that shows whether a file was cut short."""
    info: StreamInfo


class Demuxer:
    """An open container with its video and audio track; used by one thread at a time."""

    def __init__(self, reader: Reader, name: str, limits: Limits) -> None:
        self.reader = reader
        self._limits = limits
        self.name = name
        self.container = open_container(reader, name, limits)
        self._facts = container(self.container.format.name)
        with translated(reader, name, "its streams cannot be read"):
            self.video = _video_track(self.container)
            self.audio = _audio_track(self.container)
        self._fresh = True
        self._whole = self._audio_unused = True
        if self.video is None and self.audio is None:
            self.container.close()
            raise MediaError(f"{name}: holds neither a video nor an audio stream that can be decoded")

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The tracks in use."""
        return tuple(track for track in (self.video, self.audio) if track is not None)

    @property
    def indexed(self) -> bool:
        """Whether the container's index names key frames, at the times that reading on would show."""
        return self._facts.index is not None

    @property
    def lists_packets(self) -> bool:
        """Whether the index names every packet, at its decoding time, not key frames when they are shown."""
        return self._facts.index == "packets"

    @property
    def timed(self) -> bool:
        """Whether packets have the times that reading on would show also after a seek."""
        return self._holds(self._facts.timed)

    @property
    def finds_sound(self) -> bool:
        """Whether sound may be sought, not only read on to."""
        return self.timed and self._facts.finds_sound

    @property
    def declares(self) -> bool:
        """Whether the header says how long the file is; otherwise FFmpeg estimated it."""
        if self.container.format.name == "mp3":
            first = self.reader.peek(0, _PEEKED)
            return counts_frames(self.reader.peek(tag_bytes(first), _PEEKED))
        return self._holds(self._facts.declares)

    def _holds(self, fact: bool | Literal["linear"]) -> bool:
        return fact is True or (fact == "linear" and self.audio is not None and self._linear(self.audio))

    def _linear(self, track: Track) -> bool:
        """Whether every sample takes the same number of bytes, and the header says so too."""
        stream = self.stream(track)
        assert isinstance(stream, AudioStream)
        codec = stream.codec_context
        size = re.fullmatch(r"pcm_(?:(?:[suf])(\d+)(?:[bl]e)?|alaw|mulaw)", codec.name)
        bits = 0 if size is None else int(size[1] or 8)
        return bits > 0 and codec.bit_rate == codec.sample_rate * codec.layout.nb_channels * bits

    def stream(self, track: Track) -> Stream:
        """The FFmpeg stream of ``track``; another object after ``rewind`` had to open the file again."""
        return self.container.streams[track.index]

    def time(self, packet: Packet[Stream], track: Track) -> float | None:
        """When ``packet`` is shown, in container seconds."""
        stamp = packet.dts if packet.pts is None else packet.pts
        return None if stamp is None else stamp * track.time_base

    def seek(self, track: Track, seconds: float, *, any_packet: bool = False) -> bool:
        """Go to a key packet, or any packet, at or before ``seconds``; False if the format cannot."""
        stamp = (seconds + _ROUNDING) / track.time_base
        if not abs(stamp) < 2**62:
            return False
        self._fresh = False
        try:
            self.container.seek(math.floor(stamp), stream=self.stream(track), any_frame=any_packet)
        except av.error.FFmpegError:
            self.reader.check()
            return False
        return True

    def begin(self, poll: Poll | None) -> None:
        """Start another piece of work; if the last one was stopped, the file is opened again."""
        if not self.reader.begin(poll) or not self._whole:
            self._fresh = False
            self.rewind()

    def seek_with_index(self, track: Track) -> bool:
        """Go to the start, with an index that knows all key frames; False if there is none such."""
        if self.lists_packets:
            stream = self.stream(track)
            # Of a file in fragments the index grows as they are read.
            whole = 0 < stream.frames <= len(stream.index_entries)
            return whole and self.seek(track, track.start)
        # Whatever was read has entries too; in a file just opened they can be told from those of an index,
        # which are there from the first seek on, if not before.
        self.rewind()
        known = len(self.stream(track).index_entries)
        if not self.seek(track, track.start):
            return False
        entries = self.stream(track).index_entries
        return len(entries) > max(1, known) or self._reaches_far(entries, track)

    def _reaches_far(self, entries: IndexEntries, track: Track) -> bool:
        """Whether the last entry lies beyond what is read of a file when it is opened."""
        if len(entries) < 2:
            return False
        return entries[len(entries) - 1].timestamp * track.time_base - track.start > _PROBED_S

    def take_unused_audio(self) -> bool:
        """Whether the audio decoder was never used; from now on it counts as used."""
        unused, self._audio_unused = self._audio_unused, False
        return unused

    def rewind(self) -> None:
        """Go back to the first packet.

        Raises:
            MediaError: The file cannot be opened a second time.
        """
        if self._fresh:
            return
        # Seeking to the start drops packets in some formats (those before the first key frame, or of the
        # other stream), so the file is opened again: the same first packets as at the beginning.
        self._whole = False
        self.container.close()
        self.reader.seek(0)
        self.container = open_container(self.reader, self.name, self._limits)
        if len(self.container.streams) <= max(track.index for track in self.tracks):
            raise MediaError(f"{self.name}: its streams changed while it was read")
        self._fresh = self._whole = self._audio_unused = True

    def packets(self, tracks: tuple[Track, ...], poll: Poll | None) -> Iterator[Packet[Stream]]:
        """Packets of ``tracks`` from the present position to the end; a damaged part is skipped."""
        used = {track.index for track in tracks}
        for stream in self.container.streams:
            stream.discard = Discard.default if stream.index in used else Discard.all
        streams = [self.container.streams[index] for index in sorted(used)]
        self.reader.poll = poll
        self._fresh = False
        source = self.container.demux(*streams)
        errors = 0
        while errors < _MAX_READ_ERRORS:
            try:
                packet = next(source, None)
            except IndexError:
                return  # PyAV cannot end a file in which new streams came up while it was read
            except av.error.FFmpegError:
                self.reader.check()
                errors += 1
                source = self.container.demux(*streams)  # the failed generator is spent
                continue
            self.reader.check()
            if packet is None:
                return
            if poll is not None:
                poll()
            if packet.size:  # the empty ones at the end only ask decoders to drain
                errors = 0
                yield packet

    def close(self) -> None:
        """Close the container and, if it is ours, the file."""
        self.container.close()
        self.reader.close()


def open_demuxer(reader: Reader, name: str, limits: Limits, poll: Poll | None) -> Demuxer:
    """A demuxer that closes the reader in the end, also if it cannot be made.

    Raises:
        MediaError: What is read is no media file that can be decoded.
    """
    try:
        reader.begin(poll)
        return Demuxer(reader, name, limits)
    except BaseException:
        reader.close()
        raise


def _video_track(container: InputContainer) -> Track | None:
    """The default video: never cover art; among several defaults the largest picture."""

    def rank(stream: VideoStream) -> tuple[bool, bool, int, int]:
        default = bool(stream.disposition & Disposition.default)
        return default, not stream.disposition & _NOT_MAIN, stream.width * stream.height, -stream.index

    usable = [s for s in container.streams.video if _decodable(s) and not s.disposition & _NOT_A_MOVIE]
    if not usable:
        return None
    stream = max(usable, key=rank)
    rate = stream.average_rate or stream.guessed_rate
    codec = stream.codec_context
    info = _info(stream, "video", width=codec.width, height=codec.height, rate=float(rate) if rate else None)
    return _track(container, stream, info)


def _audio_track(container: InputContainer) -> Track | None:
    """The default audio track; among several defaults the first, as players do."""

    def rank(stream: AudioStream) -> tuple[bool, bool, int]:
        default = bool(stream.disposition & Disposition.default)
        return default, not stream.disposition & _NOT_MAIN, -stream.index

    usable = [s for s in container.streams.audio if _decodable(s)]
    if not usable:
        return None
    stream = max(usable, key=rank)
    codec = stream.codec_context
    info = _info(stream, "audio", sample_rate=codec.sample_rate, channels=codec.layout.nb_channels)
    return _track(container, stream, info)


def _decodable(stream: Stream) -> bool:
    # PyAV's types do not say that both may be missing: no decoder for the codec, a clock without a rate.
    return bool(stream.codec_context) and bool(stream.time_base)


def _start(stream: Stream) -> float:
    base = stream.time_base
    return float(stream.start_time * base) if base and stream.start_time is not None else 0.0


def _info(
    stream: Stream,
    kind: Literal["video", "audio"],
    *,
    width: int | None = None,
    height: int | None = None,
    rate: float | None = None,
    sample_rate: int | None = None,
    channels: int | None = None,
) -> StreamInfo:
    codec = stream.codec_context.codec.canonical_name
    return StreamInfo(kind, codec, _start(stream), width, height, rate, sample_rate, channels)


def container_end(container: InputContainer) -> float | None:
    """Where the header says the whole file ends, in seconds on its own clock."""
    if container.duration is None or container.duration <= 0:
        return None
    if "matroska" in container.format.name.split(","):
        return container.duration / 1e6  # the one format whose header gives the end, not the length
    start: int | None = container.start_time  # None where it is unknown, whatever PyAV's types say
    return ((start or 0) + container.duration) / 1e6


def _track(container: InputContainer, stream: Stream, info: StreamInfo) -> Track:
    base = stream.time_base
    assert base is not None  # _decodable saw to it
    end = None
    if stream.duration is not None and stream.duration > 0:
        end = info.start + float(stream.duration * base)
    elif len(container.streams) == 1:
        end = container_end(container)
    return Track(stream.index, float(base), info.start, end, info)

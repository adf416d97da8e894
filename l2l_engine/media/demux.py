"""Packets of one file: which streams are used, where they start and end, and going to a moment."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import av.error
from av.audio.stream import AudioStream
from av.index import IndexEntries
from av.packet import Packet
from av.stream import Discard, Stream

from l2l_engine.errors import MediaError
from l2l_engine.media.containers import container, counts_frames, matroska_goes_on, tag_bytes
from l2l_engine.media.limits import Limits
from l2l_engine.media.opening import Reader, open_container, translated
from l2l_engine.media.programmes import programmes
from l2l_engine.media.refusal import ENCRYPTED, LOOKED_AT, encrypted
from l2l_engine.media.source import Poll
from l2l_engine.media.stamps import Stamps
from l2l_engine.media.timeline import Timeline
from l2l_engine.media.tracks import Programmes, Track, choose, container_end

_ROUNDING = 1e-7
"""Seconds by which a tick turned into seconds may miss itself; going there must lead to it."""
_PROBED_S = 100.0
"""Seconds of a file that FFmpeg reads at most to find out what it is."""
_LONGEST = 10.0
"""Seconds that a packet may last by its own claim alone; more must lie within the declared length."""
_MOST_TAGS = 4
"""ID3 tags that may follow each other at the beginning of an MP3 file."""
_PEEKED = 1024
"""Bytes at the beginning of an MP3 file that show whether it counts its frames."""
_TABLES = 1 << 20
"""Bytes at the beginning of a transport stream in which the maps of its programmes are found."""
_REORDERED = 16
"""Packets that at most are decoded before one that is shown before them all."""
_MAX_READ_ERRORS = 8
"""Consecutive failed reads after which the rest of a damaged file is given up."""


class Demuxer:
    """An open container with its video and audio track; used by one thread at a time."""

    def __init__(self, reader: Reader, name: str, limits: Limits) -> None:
        self.reader = reader
        self._limits = limits
        self.name = name
        self.container = open_container(reader, name, limits)
        self._facts = container(self.container.format.name)
        with translated(reader, name, "its streams cannot be read"):
            self.video, self.audio = choose(self.container, self._programmes)
        self._fresh = True
        self._whole = self._audio_unused = True
        self._stamps = Stamps(self._facts)
        self._grown = self._is_grown()
        self._late: dict[int, float] = {}
        self._undated = 0
        self._at: int | None = None
        self._absent: set[int] = set()
        self.declared = self.tracks
        """The tracks by the header alone."""
        self.unread_from: int | None = None
        """Byte from which on there is a part that FFmpeg cannot go on to; None if there is none."""
        if any("enc_key_id" in self.stream(track).metadata for track in self.tracks) or self.is_encrypted():
            self.container.close()
            raise MediaError(f"{name}: {ENCRYPTED}")
        if self.video is None and self.audio is None:
            self.container.close()
            raise MediaError(f"{name}: holds neither a video nor an audio stream that can be decoded")

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The tracks in use."""
        return tuple(track for track in (self.video, self.audio) if track is not None)

    def replace(self, track: Track, other: Track | None) -> None:
        """Use what is known of a track by now; None if it is not there: then another of its kind, if any."""
        if other is None:
            self._absent.add(track.index)
            self.video, self.audio = choose(self.container, self._programmes, self._absent)
        elif track.info.kind == "video":
            self.video = other
        else:
            self.audio = other

    def is_encrypted(self, *, thoroughly: bool = False) -> bool:
        """Whether the first bytes say so; only ``thoroughly`` of formats of which that is costly to tell."""
        told = self.container.format.name == "asf" or thoroughly
        return told and encrypted(self.reader.peek(0, LOOKED_AT))

    @property
    def indexed(self) -> bool:
        """Whether the container's index names key frames, at the times that reading on would show."""
        return self._facts.index is not None and self._stamps.timeline is None

    @property
    def lists_packets(self) -> bool:
        """Whether the index names every packet, at its decoding time, not key frames when they are shown."""
        return self._facts.index == "packets" and self._stamps.timeline is None

    @property
    def timed(self) -> bool:
        """Whether packets have the times that reading on would show also after a seek."""
        return self._holds(self._facts.timed)

    @property
    def finds_sound(self) -> bool:
        """Whether sound may be sought, not only read on to."""
        return self.timed and self._facts.finds_sound and self._stamps.timeline is None

    @property
    def declares(self) -> bool:
        """Whether the header says how long the file is; otherwise FFmpeg estimated it."""
        if self.container.format.name == "mp3":
            at = 0
            for _ in range(_MOST_TAGS):
                at += tag_bytes(self.reader.peek(at, _PEEKED))
            return counts_frames(self.reader.peek(at, _PEEKED), self.container.size - at)
        fact = self._facts.declares
        return self.video is not None if fact == "video" else self._holds(fact)

    def _programmes(self) -> Programmes:
        """Which streams belong together; only a transport stream holds several programmes."""
        if self.container.format.name != "mpegts":
            return ()
        return programmes(self.reader.peek(0, _TABLES))

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

    @property
    def seeks(self) -> bool:
        """Whether moments can be found but by reading up to them.

        They cannot where clocks restart, and where packets have nothing but a number.
        """
        return self._stamps.timeline is None and self._facts.order != "counted"

    @property
    def jumps(self) -> bool:
        """Whether a clock that goes on much later has jumped, and the picture did not just stand still."""
        return self._facts.free

    @property
    def free(self) -> bool:
        """Whether the clock may restart within the file, and no index tells of all that is in it."""
        return self._facts.free or self._grown

    def by_order(self, track: Track) -> bool:
        """Whether only the order of frames says when they are shown; see :meth:`Stamps.by_order`."""
        return self._stamps.by_order(self.stream(track))

    def join(self, timeline: Timeline) -> None:
        """From now on let the parts of a file, each with a clock of its own, follow each other on one."""
        self.rewind()
        self._stamps.timeline = timeline
        # What is said of the end was found by stamps of several clocks.
        self.video = None if self.video is None else replace(self.video, declared_end=None)
        self.audio = None if self.audio is None else replace(self.audio, declared_end=None)

    def _is_grown(self) -> bool:
        """Whether a file that has an index by its format was written piece by piece, and has none of all.

        So are fragmented MP4 and live Matroska; or several files were put one behind the other.
        """
        if self._facts.index == "packets":
            return all(stream.frames == 0 for stream in self.container.streams)
        return self._facts.index == "keys" and matroska_goes_on(
            self.reader.peek(0, _PEEKED), self.container.size
        )

    def length(self, packet: Packet[Stream], track: Track) -> float:
        """How long a packet lasts, in seconds: its own claim, if that can be; else 0."""
        claim = (packet.duration or 0) * track.time_base
        if 0.0 < claim <= _LONGEST:
            return claim
        time, end = self.time(packet, track), track.declared_end
        end = container_end(self.container) if end is None and self.seeks else end
        if time is None or end is None or not 0.0 < claim <= end + _LONGEST - time:
            return 0.0
        return claim

    def earliest(self, packet: Packet[Stream], track: Track) -> float | None:
        """Before when no packet is shown that comes after this one, in container seconds.

        None if this packet does not tell: after a seek FFmpeg does not know of the first ones when they are
        decoded. Frames are shown no earlier than they are decoded, but for some QuickTime files: there all
        frames may be early, by as much as the packets so far show.
        """
        time = self.time(packet, track)
        if packet.dts is None:
            self._undated += 1
            return time if self._undated > _REORDERED else None
        if time is None:
            return None
        decoded = packet.dts * track.time_base
        late = self._late[track.index] = max(self._late.get(track.index, 0.0), decoded - time)
        return min(decoded - late, time)

    def time(self, packet: Packet[Stream], track: Track) -> float | None:
        """When ``packet`` is shown, in container seconds."""
        stamp = packet.dts if packet.pts is None else packet.pts
        return None if stamp is None else stamp * track.time_base

    def seek(self, track: Track, seconds: float, *, any_packet: bool = False) -> bool:
        """Go to a key packet, or any packet, at or before ``seconds``; False if the format cannot."""
        stamp = (seconds + _ROUNDING) / track.time_base
        if not self.seeks or not abs(stamp) < 2**62:
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
        self._stamps.restart()

    def packets(self, tracks: tuple[Track, ...], poll: Poll | None) -> Iterator[Packet[Stream]]:
        """Packets of ``tracks`` from the present position to the end; a damaged part is skipped."""
        used = {track.index for track in tracks}
        for stream in self.container.streams:
            stream.discard = Discard.default if stream.index in used else Discard.all
        streams = [self.container.streams[index] for index in sorted(used)]
        self.reader.poll = poll
        self._fresh = False
        source = self.container.demux(*streams)
        numbers = dict.fromkeys(used, 0)
        self._undated = 0
        mends = self._stamps.needed([self.stream(track) for track in tracks])
        indexed, pictures = self.indexed, self.video.index if self.video is not None else -1
        errors = 0
        while errors < _MAX_READ_ERRORS:
            try:
                packet = next(source, None)
            except IndexError:
                return  # PyAV cannot end a file in which new streams came up while it was read
            except av.error.FFmpegError as error:
                self.reader.check()
                errors += 1
                if isinstance(error, av.error.PatchWelcomeError):  # a chained Ogg goes on in another format
                    self.unread_from = self._at
                source = self.container.demux(*streams)  # the failed generator is spent
                continue
            self.reader.check()
            if packet is None:
                return
            if poll is not None:
                poll()
            if packet.size:  # the empty ones at the end only ask decoders to drain
                errors = 0
                index = packet.stream_index
                number = numbers[index]
                numbers[index] += 1
                # Of sound every packet is a key, so only the first is asked.
                if indexed and (index == pictures or not number) and packet.is_keyframe:
                    self._refuse_encrypted(packet)
                self._at = packet.pos
                yield self._stamps.mended(packet, number) if mends else packet

    def _refuse_encrypted(self, packet: Packet[Stream]) -> None:
        # ``packet.has_sidedata`` takes longer to find the name than to look.
        if any(data.data_type == "encryption_info" for data in packet.iter_sidedata()):
            raise MediaError(f"{self.name}: {ENCRYPTED}")

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

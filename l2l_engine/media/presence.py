"""Whether a track that a file declares is there: what comes of its packets."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace

import av.error
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from l2l_engine.errors import MediaError
from l2l_engine.media.demux import Demuxer
from l2l_engine.media.limits import Limits
from l2l_engine.media.marks import open_decoder
from l2l_engine.media.mono import MAX_RATE
from l2l_engine.media.refusal import ENCRYPTED
from l2l_engine.media.source import Poll
from l2l_engine.media.tracks import Track

Frame = AudioFrame | VideoFrame


def settle(demuxer: Demuxer, limits: Limits, poll: Poll | None) -> None:
    """Have the packets say what the header leaves open: a picture's size, the rate of a sound.

    FFmpeg reads the beginning of a file to find it out. Where that was not enough the track begins late, or
    it is declared and yields nothing. Then the next of its kind takes its place, if there is one.

    Raises:
        MediaError: No track yields anything.
    """
    asked = False
    known: set[int] = set()
    while open_ones := [t for t in demuxer.tracks if t.index not in known and _leaves_open(demuxer, t)]:
        asked = True
        known.add(open_ones[0].index)
        demuxer.replace(open_ones[0], _as_found(demuxer, open_ones[0], limits, poll))
    if not demuxer.tracks:
        cause = "nothing can be decoded of the streams it declares"
        raise MediaError(f"{demuxer.name}: {ENCRYPTED if demuxer.is_encrypted(thoroughly=True) else cause}")
    if asked:
        demuxer.rewind()


def yields(demuxer: Demuxer, track: Track, limits: Limits, poll: Poll | None) -> bool:
    """Whether anything of a track can be decoded; whoever reads from ``demuxer`` has to begin anew."""
    found = next(_frames(demuxer, track, limits, poll), None)
    demuxer.rewind()
    return found is not None


def _leaves_open(demuxer: Demuxer, track: Track) -> bool:
    info = track.info
    if info.kind == "audio":
        return not info.sample_rate
    started: int | None = demuxer.stream(track).start_time  # whatever PyAV's types say
    return not (info.width and info.height) or started is None


def _as_found(demuxer: Demuxer, track: Track, limits: Limits, poll: Poll | None) -> Track | None:
    """The track as its first frame shows it; None if it shows none."""
    found = next(_frames(demuxer, track, limits, poll), None)
    if found is None:
        return None
    start, frame = found
    start = track.start if start is None else start
    info = replace(track.info, start=start)
    if isinstance(frame, AudioFrame):
        info = replace(info, sample_rate=frame.sample_rate, channels=frame.layout.nb_channels)
    else:
        info = replace(info, width=frame.width, height=frame.height)
    return replace(track, start=start, info=info)


def _frames(
    demuxer: Demuxer, track: Track, limits: Limits, poll: Poll | None
) -> Iterator[tuple[float | None, Frame]]:
    """The frames of a track, and when its first packet is shown."""
    demuxer.rewind()
    demuxer.take_unused_audio()
    codec: VideoCodecContext | AudioCodecContext
    stream = demuxer.stream(track)
    codec = (
        stream.codec_context if isinstance(stream, AudioStream) else open_decoder(demuxer, track, limits, 1)
    )
    start: float | None = None
    packets: Iterator[Packet[Stream] | None] = demuxer.packets((track,), poll)
    for packet in itertools.chain(packets, [None]):
        if start is None and packet is not None:
            start = demuxer.time(packet, track)
        try:
            frames: Iterable[Frame] = codec.decode(packet)
        except av.error.FFmpegError:
            continue
        for frame in frames:
            if isinstance(frame, VideoFrame) or 0 < frame.sample_rate <= MAX_RATE:
                yield start, frame

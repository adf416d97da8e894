"""Encodes the pictures of a set again with key frames far apart; the sound's packets are copied.

    python -m training.data.reencode --input DIR --output OTHER --gop 250

The same scenes, harder to seek in: a key frame only every ``gop`` frames, at about the bit rate that each
video had. Running the same command again continues where it was stopped, and the same input gives the same
bytes.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.video.frame import PictureType

from training.data.command import build_parser, run
from training.data.sets import MANIFEST
from training.data.whole import whole

PRESET, B_FRAMES = "superfast", 3


def reencode_set(source: Path, output: Path, gop: int, workers: int = 1) -> Iterator[int]:
    """Encode what is missing of a set again, in the manifest's order, and yield how many videos there are.

    The output's manifest lists finished files only.

    Raises:
        ValueError: ``output`` holds videos of another set or another ``gop``.
    """
    entries = [json.loads(line) for line in (source / MANIFEST).read_text(encoding="utf-8").splitlines()]
    for entry in entries:
        entry["encoding"] |= {"gop": gop, "preset": PRESET, "b_frames": B_FRAMES, "crf": None}
    lines = [json.dumps(entry) + "\n" for entry in entries]
    manifest = output / MANIFEST
    done = manifest.read_text(encoding="utf-8") if manifest.exists() else ""
    if not "".join(lines).startswith(done):
        raise ValueError(f"{output} holds another set, or one with other settings")
    finished = done.count("\n")
    yield finished
    work = partial(_reencode_entry, source, output, gop)
    output.mkdir(parents=True, exist_ok=True)
    with (
        manifest.open("a", encoding="utf-8") as file,
        multiprocessing.get_context("spawn").Pool(workers) as pool,
    ):
        todo = [entry["path"] for entry in entries[finished:]]
        for number, _ in enumerate(pool.imap(work, todo), start=finished):
            file.write(lines[number])
            file.flush()
            yield number + 1


def _reencode_entry(source: Path, output: Path, gop: int, name: str) -> None:
    reencode(source / name, output / name, gop)


def reencode(source: Path, target: Path, gop: int) -> None:
    """Encode one video's pictures again; ``target`` appears only when it is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        whole(target) as unfinished,
        av.open(str(source)) as given,
        # Without bitexact the muxer writes its version, and other builds would give other bytes.
        av.open(str(unfinished), "w", format="mp4", options={"fflags": "+bitexact"}) as made,
    ):
        _copy(given, made, gop, _bit_rate(source))


def _bit_rate(path: Path) -> int:
    """Bits a second of the video packets."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        sizes = [(packet.size, packet.duration or 0) for packet in container.demux(stream)]
    seconds = float(sum(duration for _, duration in sizes) * stream.time_base)
    return round(8 * sum(size for size, _ in sizes) / seconds)


def _copy(given: InputContainer, made: OutputContainer, gop: int, bit_rate: int) -> None:
    pictures = given.streams.video[0]
    encoder = made.add_stream(
        "libx264",
        rate=pictures.average_rate,
        options={
            "preset": PRESET,
            "g": str(gop),
            "bf": str(B_FRAMES),
            "sc_threshold": "0",  # no key frames at cuts: they would make it easy again
            "threads": "1",  # the bits do not depend on the machine
        },
    )
    encoder.width, encoder.height, encoder.pix_fmt = pictures.width, pictures.height, "yuv420p"
    encoder.bit_rate = bit_rate
    if pictures.time_base is None:
        raise ValueError("the pictures have no time base")
    encoder.codec_context.time_base = pictures.time_base
    sound = {stream: made.add_stream_from_template(stream) for stream in given.streams.audio}
    for packet in given.demux(pictures, *sound):
        if packet.stream in sound:
            if packet.dts is not None:
                packet.stream = sound[packet.stream]
                made.mux(packet)
            continue
        for frame in pictures.decode(packet):
            frame.pict_type = PictureType.NONE  # or the key frames would stay where they were
            made.mux(encoder.encode(frame))
    made.mux(encoder.encode())


def main(words: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = build_parser("training.data.reencode", __doc__)
    parser.add_argument("--input", type=Path, required=True, help="a generated set")
    parser.add_argument("--gop", type=int, default=250, help="frames from key frame to key frame")
    return run(parser, words, lambda o: reencode_set(o.input, o.output, o.gop, o.workers))


if __name__ == "__main__":
    sys.exit(main())

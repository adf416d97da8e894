"""Longer and shorter files from one that was encoded: packets are repeated or cut, not encoded again."""

from __future__ import annotations

import math
from pathlib import Path

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream


class Joiner:
    """Copies stretches of files with the same streams behind one another."""

    def __init__(self, target: OutputContainer, source: Path) -> None:
        self._target = target
        with av.open(str(source)) as first:
            template = {stream.type: target.add_stream_from_template(stream) for stream in first.streams}
        self._streams = template
        self._written = dict.fromkeys(template, -math.inf)

    def append(self, source: Path, at: float, begin: float = 0.0, end: float = math.inf) -> None:
        """Copy the packets shown in [begin, end) seconds so that ``begin`` comes at ``at``.

        ``begin`` and ``end`` should be those of groups of pictures.
        """
        with av.open(str(source)) as file:
            for packet in file.demux():
                time = (
                    None if packet.pts is None or packet.dts is None else float(packet.pts * packet.time_base)
                )
                if time is not None and begin - 1e-6 <= time < end - 1e-6:
                    self._write(packet, packet.stream, at - begin)

    def _write(self, packet: Packet[Stream], stream: Stream, shift: float) -> None:
        assert packet.pts is not None
        assert packet.dts is not None
        ticks = round(shift / packet.time_base)
        packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
        time = float(packet.dts * packet.time_base)
        # Sound does not end exactly with the picture: what would overlap is left out.
        if time > self._written[stream.type] + 1e-4:
            self._written[stream.type] = time
            packet.stream = self._streams[stream.type]
            self._target.mux(packet)


def loop(source: Path, seconds: float, times: int, target: Path) -> None:
    """Write ``source``, which lasts ``seconds``, ``times`` times over."""
    with av.open(str(target), "w") as container:
        joiner = Joiner(container, source)
        for turn in range(times):
            joiner.append(source, turn * seconds)


def cut(source: Path, begin: float, end: float, target: Path) -> None:
    """Write what is shown in [begin, end) of ``source``, on a clock that starts at 0."""
    with av.open(str(target), "w") as container:
        Joiner(container, source).append(source, 0.0, begin, end)

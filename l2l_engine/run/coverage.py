"""How much of what was asked of a file could be decoded, and whether that is enough to answer by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from l2l_engine.errors import MediaError
from l2l_engine.media import MediaSource
from l2l_engine.run.collector import Collector

Kind = Literal["video", "audio"]

LEAST_COVERAGE = 0.5
"""Below this share of readable frames and windows a file is an error, not a guess."""


class Coverage:
    """Counts what was decoded of one file's tracks.

    Args:
        source: The opened file.
        name: Its name, for messages.
        tracks: What collects the samples of each; None of a track that is not there, or not asked for.
        yields: Says whether a track has anything in it.
    """

    def __init__(
        self,
        source: MediaSource,
        name: str,
        tracks: Mapping[Kind, Collector | None],
        yields: Callable[[Kind], bool],
    ) -> None:
        self._source, self._name, self._yields = source, name, yields
        self._tracks = tracks
        self._dead: dict[Kind, bool] = {}

    def share(self) -> float:
        """Share of the moments asked for that could be decoded, 0 to 1.

        Raises:
            MediaError: If it is too little.
        """
        collectors = {kind: track for kind, track in self._tracks.items() if track is not None}
        decoded = sum(collector.decoded for collector in collectors.values())
        if not decoded:
            nothing = {"video": "no frame", "audio": "no sound"}
            what = " and ".join(nothing[kind] for kind in self._tracks if kind in collectors)
            raise MediaError(f"{self._name}: {what} could be decoded")
        asked = sum(
            collector.asked for kind, collector in collectors.items() if not self._is_dead(kind, collector)
        )
        there, duration = self._source.readable, self._source.duration
        share = decoded / asked * there / duration
        if share < LEAST_COVERAGE:
            cut = f": the file was cut short, {there:.1f} of {duration:.1f} s are there"
            cause = f"only {share:.0%} of what was needed could be decoded"
            raise MediaError(f"{self._name}: {cause}{cut if there < duration else ''}")
        return share

    def lacks(self, kind: Kind) -> bool:
        """Whether :meth:`share` found that a track is declared and yields nothing."""
        return self._dead.get(kind, False)

    def _is_dead(self, kind: Kind, collector: Collector) -> bool:
        """Whether a track is declared and yields nothing: it is absent then, and nothing of it was lost."""
        if collector.decoded or not collector.asked:
            return False
        if kind not in self._dead:
            self._dead[kind] = not self._yields(kind)
        return self._dead[kind]

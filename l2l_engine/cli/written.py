"""Files of segments beside the results: ``--srt``, ``--vtt`` and their kin."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import IO

import typer

from l2l_engine import files
from l2l_engine.cli.output import Sink
from l2l_engine.cli.streams import complain
from l2l_engine.formats import FORMS, FrameRateError, NoSegmentsError
from l2l_engine.media import stores
from l2l_engine.media.folders import File
from l2l_engine.plan import read_plan
from l2l_engine.result import Prediction


class Wanted:
    """What is to be written where, once it is clear that it can be.

    Args:
        targets: A file by the name of a format, or a folder for several.
        arguments: The files and folders as they were named.
        found: All files that there are to be predictions of.
        plan: The plan file.
        fps: Frames a second of formats that count frames; None for each file's own.

    Raises:
        typer.BadParameter: A target is the video itself, or a file where a folder should be.
        NoSegmentsError: The plan gives no segments.
        L2LError, ValueError: A format cannot be written here, or not at this rate.
    """

    def __init__(
        self,
        targets: Mapping[str, Path],
        arguments: Sequence[str],
        found: Sequence[File],
        *,
        plan: Path,
        fps: float | None,
    ) -> None:
        if fps is not None and not any(FORMS[name].check for name in targets):
            raise typer.BadParameter("--fps goes with --otio and --edl")
        if targets and not says_when(plan):
            options = ", ".join(map(option, targets))
            raise NoSegmentsError(f"{plan}: the plan has no settings for segments, so nothing for {options}")
        self.makers = {name: FORMS[name].at(fps) for name in targets}
        self.places: dict[tuple[str, str], Path] = {}
        alone = _is_one_file(arguments, found)
        names = _names(found) if targets else []
        for name, target in targets.items():
            folder = not alone or target.is_dir()
            if folder and target.exists() and not target.is_dir():
                raise typer.BadParameter(
                    f"{option(name)}: {target} is a file, where several files are a folder"
                )
            for file, stem in zip(found, names, strict=True):
                place = target / f"{stem}{FORMS[name].suffix}" if folder else target
                if _same(place, file):
                    raise typer.BadParameter(f"{option(name)}: {place} is the file that is classified")
                if not folder and place in self.places.values():
                    raise typer.BadParameter(f"{option(name)}: {place} is another format's file already")
                self.places[name, str(file)] = place


class SegmentFiles:
    """Hands each prediction on, and writes its segments in the formats that were asked for."""

    def __init__(self, sink: Sink, wanted: Wanted) -> None:
        self._sink, self._wanted = sink, wanted
        self.failed = 0

    def write(self, prediction: Prediction) -> None:
        """Hand it on, then write its segments; what a file makes impossible is said and counts as failed."""
        self._sink.write(prediction)
        for name, make in self._wanted.makers.items():
            try:
                text = make(prediction)
            except FrameRateError as error:
                complain(f"{option(name)}: {error}")
                self.failed += 1
                continue
            place = self._wanted.places[name, prediction.path or ""]
            place.parent.mkdir(parents=True, exist_ok=True)
            content = text.encode("utf-8", "backslashreplace")
            files.write_whole(place, partial(_put, content))

    def close(self) -> None:
        """Close what it hands on to."""
        self._sink.close()


def _put(content: bytes, file: IO[bytes]) -> None:
    file.write(content)


def says_when(plan: Path) -> bool:
    """Whether a plan gives segments."""
    return read_plan(plan).document.segments is not None


def option(name: str) -> str:
    """How a format is asked for."""
    return f"--{name.replace('_', '-')}"


def _is_one_file(arguments: Sequence[str], found: Sequence[File]) -> bool:
    """Whether one file was named: a folder gives a folder, however many files are in it today."""
    if len(arguments) != 1 or len(found) != 1:
        return False
    url = stores.protocol_of(arguments[0]) is not None
    return not (arguments[0].endswith("/") if url else Path(arguments[0]).is_dir())


def _names(found: Sequence[File]) -> list[str]:
    """A path without suffix for each file: its place below the folder that all of them are in.

    Where two files differ in their suffix alone, it stays.
    """
    places = [_place(file) for file in found]
    above = [place.parent for place in places]
    shared = len(os.path.commonpath([*map(str, above), *map(str, above[:1])])) if above else 0
    below = [
        PurePath(str(folder)[shared:].lstrip("/"), place.name)
        for folder, place in zip(above, places, strict=True)
    ]
    stems = Counter(str(place.with_suffix("")) for place in below)
    return [
        str(place) if stems[str(place.with_suffix(""))] > 1 else str(place.with_suffix("")) for place in below
    ]


def _place(file: File) -> PurePath:
    """A path from the root, of a URL too, that leads nowhere else."""
    protocol = stores.protocol_of(file)
    if protocol is None:
        return PurePath(os.path.abspath(file))  # noqa: PTH100 - links stay what they are called
    parts = str(file).split("?")[0].split("/")[2:]
    return PurePath("/", *(part for part in parts if part not in {"", ".", ".."}))


def _same(place: Path, file: File) -> bool:
    try:
        return stores.protocol_of(file) is None and place.samefile(file)
    except OSError:
        return False

"""Which files a command line means."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_VIDEO = {".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"}
_VIDEO |= {".ogv", ".ts", ".webm", ".wmv"}
_SOUND = {".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav"}
SUFFIXES = frozenset(_VIDEO | _SOUND)
"""What counts as media inside a folder. A file that is named itself is always tried."""


def expand(arguments: Iterable[Path], *, recursive: bool) -> Iterator[Path]:
    """The files meant, each once: files as named, folders as their media files in order of name.

    Links to folders are not followed inside a folder: they may lead round in a circle.
    """
    seen: set[Path] = set()
    for argument in arguments:
        for path in _inside(argument, recursive) if argument.is_dir() else (argument,):
            if path not in seen:
                seen.add(path)
                yield path


def _inside(folder: Path, recursive: bool) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(folders) if recursive else []
        for name in sorted(names):
            path = Path(place, name)
            if path.suffix.lower() in SUFFIXES:
                yield path

"""Which files a command line means."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from l2l_engine.media import stores

_VIDEO = {".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"}
_VIDEO |= {".ogv", ".ts", ".vob", ".webm", ".wmv"}
_VIDEO |= {".264", ".265", ".apng", ".dv", ".h264", ".hevc", ".ivf", ".m1v", ".m2v", ".mxf", ".nut", ".obu"}
_VIDEO |= {".rm", ".rmvb", ".wtv"}
_SOUND = {".aac", ".flac", ".m4a", ".mka", ".mp3", ".oga", ".ogg", ".opus", ".w64", ".wav", ".wma"}
_SOUND |= {".ac3", ".aif", ".aiff", ".amr", ".ape", ".au", ".awb", ".caf", ".dts", ".eac3", ".tta", ".wv"}
SUFFIXES = frozenset(_VIDEO | _SOUND)
"""What counts as media inside a folder. A file that is named itself is always tried."""

Unreadable = Callable[[OSError], None]


File = str | Path
"""A URL, or a path."""


def expand(arguments: Iterable[File], *, recursive: bool, unreadable: Unreadable) -> Iterator[File]:
    """The files meant, each once: files as named, folders as their media files in order of name.

    A URL that ends in "/" is a folder. Links to folders are not followed inside a folder: they may lead round
    in a circle. ``unreadable`` is told of each folder that cannot be listed; the others are gone through all
    the same.
    """
    seen: set[File] = set()
    for argument in arguments:
        for file in _files(argument, recursive, unreadable):
            if file not in seen:
                seen.add(file)
                yield file


def _files(argument: File, recursive: bool, unreadable: Unreadable) -> Iterable[File]:
    if isinstance(argument, str) and (protocol := stores.protocol_of(argument)) is not None:
        return _behind(argument, protocol, recursive, unreadable) if argument.endswith("/") else (argument,)
    path = Path(argument)
    return _inside(path, recursive, unreadable) if _is_folder(path) else (path,)


def _behind(url: str, protocol: str, recursive: bool, unreadable: Unreadable) -> Iterator[str]:
    system, path = stores.find(url)
    try:
        found = system.find(path, maxdepth=None if recursive else 1)
    except Exception as error:  # whatever its package raises
        unreadable(OSError(0, str(error), url))
        return
    for name in sorted(found):
        if Path(name).suffix.lower() in SUFFIXES:
            yield name if stores.protocol_of(name) else f"{protocol}://{name}"


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # too long a name, or no way in: whoever opens it as a file says so
        return False


def _inside(folder: Path, recursive: bool, unreadable: Unreadable) -> Iterator[Path]:
    for place, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(folders) if recursive else []
        for name in sorted(names):
            path = Path(place, name)
            if path.suffix.lower() in SUFFIXES:
                yield path

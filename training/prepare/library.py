"""The files of a folder, and what their names say."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

from l2l_engine.media.folders import expand
from training.prepare.annotations import AnnotationError


class Library:
    """The media files of a folder, found by name without suffix; hidden files and folders do not count.

    Attributes:
        root: The folder.
        paths: The files, in order of name.

    Raises:
        AnnotationError: If there is no such folder.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise AnnotationError(f"{root}: is no folder")
        self.root = root
        self.paths = media_files(root)
        self._by_stem: dict[str, Path] = {}
        for path in self.paths:
            self._by_stem.setdefault(path.stem, path)

    def find(self, stem: str) -> Path:
        """Return the file of that name; where there is none, the path that it might have."""
        return self._by_stem.get(stem, self.root / stem)

    def __contains__(self, stem: object) -> bool:
        return stem in self._by_stem


def media_files(folder: Path) -> list[Path]:
    """Return the media files in a folder and the folders in it, without hidden ones."""
    found = map(Path, expand([folder], recursive=True, unreadable=_refuse))
    return [path for path in found if not is_hidden(path, folder)]


def visible_files(folder: Path) -> list[Path]:
    """Return all files in a folder and the folders in it, without hidden ones."""
    found = [Path(place, name) for place, _, names in os.walk(folder) for name in sorted(names)]
    return [path for path in found if not is_hidden(path, folder)]


def is_hidden(path: Path, folder: Path) -> bool:
    """Return whether a file or one of the folders it lies in, up to ``folder``, begins with a dot."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, without hidden ones."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def class_name(folder: Path) -> str:
    """Return a folder's name as a class: composed characters, single spaces, nothing that is no text."""
    text = os.fsencode(folder.name).decode("utf-8", "replace")
    return " ".join(unicodedata.normalize("NFC", text).split()) or "unnamed"


def _refuse(error: OSError) -> None:
    raise error

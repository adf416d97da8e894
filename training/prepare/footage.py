"""What is in the files: whether they can be decoded, for how long, and which are the same."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from l2l_engine.errors import MediaError
from l2l_engine.media import open_media
from training.prepare.layouts import Listed
from training.runs.files import write_json
from training.runs.parallel import parallel_map


@dataclass(frozen=True, slots=True)
class Probed:
    """What opening a file told, or why it could not be opened; ``pixels`` are those of a second."""

    duration: float = 0.0
    has_video: bool = False
    has_audio: bool = False
    problem: str = ""
    pixels: float = 0.0


def probe(path: Path) -> Probed:
    """Open a file, and decode as much of it as shows that it can be decoded."""
    try:
        with open_media(path) as source:
            start = np.zeros(1)
            if source.has_video and not source.frames(start, short_side=128, crop=112).valid.any():
                return Probed(problem=f"{path}: its first frame cannot be decoded")
            rates = [(s.width or 0) * (s.height or 0) * (s.frame_rate or 25) for s in source.streams]
            return Probed(source.duration, source.has_video, source.has_audio, pixels=float(sum(rates)))
    except MediaError as error:
        return Probed(problem=str(error))


def probe_all(paths: Sequence[Path], workers: int, cache: Path) -> dict[Path, Probed]:
    """Probe files; of those that have not changed, ``cache`` knows the answer from an earlier run."""
    known: dict[str, tuple[str, dict[str, Any]]] = {}
    if cache.exists():
        known = json.loads(cache.read_text(encoding="utf-8"))
    states = {path: state(path) for path in dict.fromkeys(paths)}
    found = {
        path: Probed(**known[safe(path)][1])
        for path, now in states.items()
        if safe(path) in known and known[safe(path)][0] == now
    }
    new = [path for path in states if path not in found]
    for path, result in zip(new, parallel_map(probe, new, workers), strict=True):
        found[path] = result if isinstance(result, Probed) else Probed(problem=f"{path}: {result}")
    if new:
        write_json(cache, {safe(path): [now, asdict(found[path])] for path, now in states.items()})
    return found


def state(path: Path) -> str:
    """Return what changes when a file does: its size and when it was written."""
    found = path.stat()
    return f"{found.st_size} {found.st_mtime_ns}"


def safe(path: Path) -> str:
    """Return a path as text that can be written, also if its bytes are no text."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def repeated(videos: Sequence[Listed]) -> dict[Path, str]:
    """Find files whose content another file has too, and why each is left out.

    Of the same content under the same labels the first is kept; under others, none: one of them is wrong.
    Files that the annotations put into a split stay as they are.
    """
    by_size: dict[int, dict[Path, tuple[str, ...]]] = defaultdict(dict)
    for video in videos:
        if not video.split:
            by_size[video.path.stat().st_size][video.path] = video.labels
    by_content: dict[bytes, dict[Path, tuple[str, ...]]] = defaultdict(dict)
    for alike in by_size.values():
        for path, labels in alike.items() if len(alike) > 1 else ():
            by_content[_hash(path)][path] = labels
    reasons: dict[Path, str] = {}
    for alike in by_content.values():
        first = next(iter(alike))
        for path, labels in alike.items():
            if len(set(alike.values())) > 1:
                other = next(p for p, its in alike.items() if its != labels)
                reasons[path] = f"the same as {safe(other)}, which is of class {', '.join(alike[other])}"
            elif path != first:
                reasons[path] = f"the same as {safe(first)}"
    return reasons


def _hash(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()

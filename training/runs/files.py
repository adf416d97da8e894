"""Files that are whole or not there at all, and the hashes that name them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from l2l_engine.files import write_whole
from training.runs import devices


def write_atomically(
    path: Path, write: Callable[[IO[bytes]], object], *, by_any_process: bool = False
) -> None:
    """Write a file and its folder: a killed run leaves the old file or the new one.

    Of several processes in training the leading one alone writes, unless ``by_any_process``.
    """
    if not (devices.lead() or by_any_process):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, write, sync=False)


def write_json(path: Path, value: Any) -> None:
    """Write JSON that a person can read."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def fingerprint(value: Any) -> str:
    """Return a short hash of JSON values: equal settings, equal name."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def file_fingerprint(path: Path) -> str:
    """Return a short hash of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def whole_lines(path: Path) -> list[bytes]:
    """Return the lines of ``path``, none if there is no such file; half a line left by a kill is cut off."""
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    os.truncate(path, whole)
    return content[:whole].splitlines()

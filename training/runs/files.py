"""Files that are whole or not there at all, and the hashes that name them."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from training.runs import devices


def write_atomically(
    path: Path, write: Callable[[IO[bytes]], object], *, by_any_process: bool = False
) -> None:
    """Fill a temporary file beside ``path``, then rename it: a killed run leaves the old or the new file.

    Of several processes in training the leading one alone writes, unless ``by_any_process``.
    """
    if not (devices.lead() or by_any_process):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
        # mkstemp keeps its files to their owner; these are as open as any other.
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write JSON that a person can read."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def fingerprint(value: Any) -> str:
    """A short hash of JSON values: equal settings, equal name."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def file_fingerprint(path: Path) -> str:
    """A short hash of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def whole_lines(path: Path) -> list[bytes]:
    """The lines of ``path``, none if there is no such file; half a line left by a kill is cut off."""
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    os.truncate(path, whole)
    return content[:whole].splitlines()

"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO


def write_whole(
    path: Path, write: Callable[[IO[bytes]], object], *, mode: int = 0o666, sync: bool = True
) -> None:
    """Write to a temporary file in the same folder, then rename it over ``path``.

    Args:
        path: The file; its folder must exist.
        write: Fills it.
        mode: Its permissions, as far as the umask lets them.
        sync: Whether it must outlast a power failure, and not only the end of this process.

    Raises:
        OSError: The folder is missing, not writable, or full; ``path`` is as it was before.
    """
    # A name of its own length: before the file's own it might become too long.
    temporary = path.parent / f".l2l-{secrets.token_hex(8)}.tmp"
    try:
        # Not mkstemp, whose files nobody else may read.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sync:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename outlast a power failure, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
